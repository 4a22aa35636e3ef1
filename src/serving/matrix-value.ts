import { decodeCommonAt, decodeValueAt, readable } from '../codec/value-decode.js'
import type { Cell } from '../core/cell.js'
import type { TensorType } from '../core/tensor.js'
import { elementTypeOf, isListType, type ValueType } from '../core/value-type.js'

/** A cell as the element of a tensor; undefined: it does not fit ({@link whyNoElement} says why). */
export type ToElement = (cell: NonNullable<Cell>) => number | bigint | string | undefined

/** Values without counterpart are refused, never rounded; but every number may become a float. */
export function elementConverter(
  valueType: ValueType,
  type: TensorType,
  as: 'epoch_seconds' | undefined,
): ToElement | undefined {
  return valueType === 'UNIX_TIMESTAMP'
    ? as === undefined
      ? undefined
      : SECONDS[type]
    : CONVERTERS[valueType]?.(type)
}

/** Why no feature of that type fills such a tensor; undefined when one does. */
export function typeProblem(
  valueType: ValueType,
  type: TensorType,
  as: 'epoch_seconds' | undefined,
): string | undefined {
  const scalar = isListType(valueType) ? elementTypeOf(valueType)! : valueType
  if (elementConverter(scalar, type, as) !== undefined) return undefined
  if (scalar === 'UNIX_TIMESTAMP') {
    return as === undefined
      ? 'a time is only fed where the input says how: as: epoch_seconds'
      : `epoch seconds are int64 or float64, not ${type}`
  }
  if (scalar === 'STRING') return `text is fed as a string tensor, not as ${type}`
  if (scalar === 'FLOAT' || scalar === 'DOUBLE') {
    return `a float is not made ${type}, which would round it; train the model with float32 or float64 inputs`
  }
  return `${valueType} cannot be fed as ${type}`
}

const CONVERTERS: Partial<Record<ValueType, (type: TensorType) => ToElement | undefined>> = {
  INT32: integers,
  INT64: integers,
  FLOAT: floats,
  DOUBLE: floats,
  BOOL: truths,
  STRING: (type) => (type === 'string' ? (cell) => (typeof cell === 'string' ? cell : undefined) : undefined),
}

const RANGES: Partial<Record<TensorType, readonly [least: bigint, most: bigint]>> = {
  int8: [-128n, 127n],
  int16: [-32_768n, 32_767n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint8: [0n, 255n],
  uint16: [0n, 65_535n],
  uint32: [0n, 2n ** 32n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
}

function integers(type: TensorType): ToElement | undefined {
  if (type === 'float32' || type === 'float64') {
    return (cell) => (typeof cell === 'bigint' || Number.isInteger(cell) ? Number(cell) : undefined)
  }
  const range = RANGES[type]
  if (range === undefined) return undefined
  const [least, most] = range
  const isWide = type === 'int64' || type === 'uint64'
  return (cell) => {
    if (typeof cell !== 'bigint' && !Number.isInteger(cell)) return undefined
    const whole = BigInt(cell as bigint | number)
    if (whole < least || whole > most) return undefined
    return isWide ? whole : Number(whole)
  }
}

function floats(type: TensorType): ToElement | undefined {
  if (type !== 'float32' && type !== 'float64') return undefined
  return (cell) => (typeof cell === 'number' ? cell : undefined)
}

function truths(type: TensorType): ToElement | undefined {
  if (type === 'int64') return (cell) => (typeof cell === 'boolean' ? BigInt(cell) : undefined)
  if (!['bool', 'int32', 'float32', 'float64'].includes(type)) return undefined
  return (cell) => (typeof cell === 'boolean' ? Number(cell) : undefined)
}

const MICROS = 1_000_000n

/** Times are microseconds; what is below a second goes into a float only. */
const SECONDS: Partial<Record<TensorType, ToElement>> = {
  int64: (cell) => {
    if (typeof cell !== 'bigint') return undefined
    const seconds = cell / MICROS
    return cell % MICROS < 0n ? seconds - 1n : seconds
  },
  float64: (cell) => (typeof cell === 'bigint' ? Number(cell) / 1e6 : undefined),
}

/** Beyond it, neighbouring integers become the same float. */
export function isExact(element: number | bigint | string, type: TensorType): boolean {
  if (typeof element !== 'number') return true
  const most = type === 'float32' ? 2 ** 24 : 2 ** 53
  return element <= most && element >= -most
}

export function whyNoElement(cell: Cell, valueType: ValueType, type: TensorType): string {
  const shown = String(cell)
  const value = shown.length > 40 ? `${shown.slice(0, 40)}…` : shown
  if (typeof cell === 'bigint' || (typeof cell === 'number' && valueType.startsWith('INT'))) {
    return `${value} is out of the range of ${type}`
  }
  return `what is stored (${value}) is no ${valueType}; write the view's rows again`
}

/** The Value in `bytes[start..end)` as a cell. */
export function cellAt(bytes: Buffer, start: number, end: number): Cell {
  return decodeCommonAt(bytes, start, end) ?? readable(() => decodeValueAt(bytes, start, end)).cell
}
