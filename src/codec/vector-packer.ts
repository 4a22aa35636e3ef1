import { type Cell, type ColumnVector, SHORT_TEXT_BYTES, type VectorLayout } from '../core/cell.js'
import { type FeastType, VALUE_TYPE_NUMBERS, type ValueType } from '../core/value-type.js'
import type { ByteWriter } from './byte-writer.js'
import { TAGS, TEXT_HEAD_BYTES, TEXT_TYPES, writeVarint, writeVarint64 } from './cell-packer.js'
import { floorSeconds } from './timestamp.js'

/** Where the values of a column go, one behind the other: that of `rows[i]` starts at `places[first + i]`. */
export interface Packing {
  readonly out: ByteWriter
  readonly rows: Int32Array
  readonly places: Int32Array
  readonly first: number
}

/** Of a batch: cells, or what they would be made of. */
export type Column = CellColumn | VectorColumn

export interface CellColumn {
  readonly cells: readonly Cell[]
}

export interface VectorColumn {
  readonly vector: ColumnVector
}

/** What appends rows of a vector as the bytes of `feast.types.Value`. */
export interface VectorPacker {
  readonly layout: VectorLayout
  pack(vector: ColumnVector, packing: Packing): void
}

/** Gives the bytes that `cellPacker` gives for the cells. undefined: columns of the type go by cells. */
export function vectorPacker({ valueType }: FeastType): VectorPacker | undefined {
  return PACKERS[valueType]
}

const PACKERS: Partial<Record<ValueType, VectorPacker>> = {
  INT64: {
    layout: 'int64',
    pack(vector, packing) {
      const halves = new Uint32Array(vector.bytes.buffer, vector.bytes.byteOffset)
      packEach(vector, packing, 11, (out, at, row) => {
        out[at] = TAGS.INT64
        return writeVarint64(out, at + 1, halves[2 * row]!, halves[2 * row + 1]!)
      })
    },
  },
  INT32: {
    layout: 'int32',
    pack(vector, packing) {
      const numbers = new Int32Array(vector.bytes.buffer, vector.bytes.byteOffset)
      packEach(vector, packing, 11, (out, at, row) => {
        const number = numbers[row]!
        out[at] = TAGS.INT32
        return writeVarint64(out, at + 1, number >>> 0, number < 0 ? 0xffff_ffff : 0)
      })
    },
  },
  UNIX_TIMESTAMP: {
    layout: 'int64',
    pack(vector, packing) {
      const micros = new BigInt64Array(vector.bytes.buffer, vector.bytes.byteOffset)
      packEach(vector, packing, 11, (out, at, row) => {
        seconds[0] = floorSeconds(micros[row]!)
        out[at] = TAGS.UNIX_TIMESTAMP
        return writeVarint64(out, at + 1, secondsHalves[0]!, secondsHalves[1]!)
      })
    },
  },
  DOUBLE: {
    layout: 'double',
    pack(vector, packing) {
      const { bytes } = vector
      const numbers = new Float64Array(bytes.buffer, bytes.byteOffset)
      packEach(vector, packing, 9, (out, at, row, view) => {
        const number = numbers[row]!
        // As in Feast, NaN is null.
        if (Number.isNaN(number)) return at
        out[at] = TAGS.DOUBLE
        view.setFloat64(at + 1, number, true)
        return at + 9
      })
    },
  },
  FLOAT: {
    layout: 'float',
    pack(vector, packing) {
      const { bytes } = vector
      const numbers = new Float32Array(bytes.buffer, bytes.byteOffset)
      packEach(vector, packing, 5, (out, at, row, view) => {
        const number = numbers[row]!
        if (Number.isNaN(number)) return at
        out[at] = TAGS.FLOAT
        view.setFloat32(at + 1, number, true)
        return at + 5
      })
    },
  },
  BOOL: {
    layout: 'boolean',
    pack(vector, packing) {
      packEach(vector, packing, 2, (out, at, row) => {
        out[at] = TAGS.BOOL
        out[at + 1] = vector.bytes[row]!
        return at + 2
      })
    },
  },
  ...Object.fromEntries(TEXT_TYPES.map((type) => [type, textPacker(VALUE_TYPE_NUMBERS[type])])),
}

const seconds = new BigInt64Array(1)
const secondsHalves = new Uint32Array(seconds.buffer)

/** @param maxBytes of one value @param write returns where it ends */
function packEach(
  { valid }: ColumnVector,
  { out, rows, places, first }: Packing,
  maxBytes: number,
  write: (bytes: Buffer, at: number, row: number, view: DataView) => number,
): void {
  out.reserve(maxBytes * rows.length)
  const { bytes } = out
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let end = out.length
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    places[first + i] = end
    if (valid === undefined || isValid(valid, row)) end = write(bytes, end, row, view)
  }
  places[first + rows.length] = end
  out.length = end
}

export function isValid(valid: Uint8Array, row: number): boolean {
  return (valid[row >> 3]! & (1 << (row & 7))) !== 0
}

function textPacker(field: number): VectorPacker {
  const tag = (field << 3) | 2
  return {
    layout: 'text',
    pack(vector, { out, rows, places, first }) {
      const { valid } = vector
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!
        places[first + i] = out.length
        if (valid === undefined || isValid(valid, row)) appendText(out, vector, row, tag)
      }
      places[first + rows.length] = out.length
    },
  }
}

function appendText(out: ByteWriter, vector: ColumnVector, row: number, tag: number): void {
  const size = textSize(vector, row)
  out.reserve(size + TEXT_HEAD_BYTES)
  out.length = writeVarint(out.bytes, out.length, tag)
  out.length = writeVarint(out.bytes, out.length, size)
  copyText(out, vector, row, size)
}

/** Bytes of a text. */
export function textSize({ bytes }: ColumnVector, row: number): number {
  const at = 16 * row
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

export function copyText(out: ByteWriter, vector: ColumnVector, row: number, size: number): void {
  if (size > SHORT_TEXT_BYTES) {
    const text = vector.longText!(row)
    out.slice(text, 0, size)
    return
  }
  out.reserve(size)
  const { bytes } = vector
  const from = 16 * row + 4
  for (let i = 0; i < size; i++) out.bytes[out.length + i] = bytes[from + i]!
  out.length += size
}
