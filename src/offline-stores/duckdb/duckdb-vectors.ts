import { type DuckDBDataChunk, type DuckDBType, DuckDBTypeId } from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'
import type { ColumnVector, VectorLayout } from '../../core/cell.js'

/** What lies in DuckDB's memory as a vector does; the others are read as cells. */
const LAYOUTS: Partial<Record<DuckDBTypeId, { readonly layout: VectorLayout; readonly size: number }>> = {
  [DuckDBTypeId.BIGINT]: { layout: 'int64', size: 8 },
  [DuckDBTypeId.TIMESTAMP]: { layout: 'int64', size: 8 },
  [DuckDBTypeId.TIMESTAMP_TZ]: { layout: 'int64', size: 8 },
  [DuckDBTypeId.INTEGER]: { layout: 'int32', size: 4 },
  [DuckDBTypeId.DOUBLE]: { layout: 'double', size: 8 },
  [DuckDBTypeId.FLOAT]: { layout: 'float', size: 4 },
  [DuckDBTypeId.BOOLEAN]: { layout: 'boolean', size: 1 },
  [DuckDBTypeId.VARCHAR]: { layout: 'text', size: 16 },
}

/** Columns of a chunk of this type as they lie in its memory; undefined for types that lie otherwise. */
export function vectorReader({
  typeId,
}: DuckDBType): ((chunk: DuckDBDataChunk, index: number) => ColumnVector) | undefined {
  const known = LAYOUTS[typeId]
  return known && ((chunk, index) => new ChunkVector(chunk, index, known.layout, known.size))
}

class ChunkVector implements ColumnVector {
  readonly bytes: Buffer
  readonly valid: Uint8Array | undefined

  constructor(
    /** Its memory is gone when nobody holds it. */
    readonly chunk: DuckDBDataChunk,
    index: number,
    readonly layout: VectorLayout,
    size: number,
  ) {
    const { rowCount } = chunk
    const vector = duckdb.data_chunk_get_vector(chunk.chunk, index)
    this.bytes = duckdb.vector_get_data(vector, size * rowCount) as Buffer
    this.valid = duckdb.vector_get_validity(vector, 8 * Math.ceil(rowCount / 64)) ?? undefined
  }

  longText(row: number): Buffer {
    const { bytes } = this
    const at = 16 * row
    const pointer = bytes.byteOffset + at + 8
    return duckdb.get_data_from_pointer(
      bytes.buffer as ArrayBuffer,
      pointer,
      bytes.readUInt32LE(at),
    ) as Buffer
  }
}
