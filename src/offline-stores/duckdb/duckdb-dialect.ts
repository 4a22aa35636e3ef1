import type { Micros } from '../../core/instant.js'
import type { FeastType } from '../../core/value-type.js'
import { listElementOf } from '../list-element.js'
import type { StepDialect, TimeBounds } from '../sql/sql-dialect.js'
import { isInteger, isText, isTimestamp, type SqlType } from '../sql/sql-type.js'
import { quoteName, quoteText } from './duckdb-quote.js'
import { sqlTypeFor } from './duckdb-types.js'

/** The session's TimeZone must be UTC: naive times and texts without offset are read in it. */
export const duckdbDialect: StepDialect = {
  name: quoteName,
  typeFor: sqlTypeFor,
  micros,
  timestamp: (expression) => `make_timestamptz(${expression})`,
  instant: (expression) => `make_timestamptz(${expression})`,
  prune,
  cast,
  pair: (first, second) => `{'first': ${first}, 'second': ${second}}`,
  pairFirst: (pair) => `struct_extract(${pair}, 'first')`,
  pairSecond: (pair) => `struct_extract(${pair}, 'second')`,
  key,
  // A sort gives its columns back from the sort key, which knows one zero: -0.0 would come out as 0.0. Ordering by
  // what only the expression's reader knows to be the column keeps the column as it is.
  orderable: (expression, type) =>
    holdsFloats(type) ? `CASE WHEN ${expression} IS NOT NULL THEN ${expression} END` : expression,
  parts: {
    holds: (keys, { number, of }) => `hash(${keys.join(', ')}) % ${of} = ${number}`,
    atMaximum: (value, by) => `arg_max(${value}, ${by})`,
  },
}

function holdsFloats({ kind, element, fields, key, value }: SqlType): boolean {
  if (kind === 'float' || kind === 'double') return true
  return [element, key, value, ...Object.values(fields ?? {})].some((inner) => inner && holdsFloats(inner))
}

function micros(expression: string, type: SqlType): string | undefined {
  switch (type.kind) {
    case 'timestamp':
      return type.text === 'TIMESTAMP' ? `epoch_us(${expression})` : `epoch_us(${expression}::TIMESTAMP)`
    case 'timestampTz':
    case 'date':
      return `epoch_us(${expression})`
    case 'timestampNs':
      // DuckDB's own cast goes towards zero, which before 1970 is up.
      return `((epoch_ns(${expression}) - ((epoch_ns(${expression}) % 1000) + 1000) % 1000) // 1000)`
    case 'text':
      return `epoch_us(${expression}::TIMESTAMPTZ)`
    default:
      return undefined
  }
}

function prune(expression: string, type: SqlType, { start, end }: TimeBounds): string | undefined {
  const literal = LITERALS[type.text]
  if (literal === undefined) return undefined
  const fits = type.kind === 'timestampNs' ? fitsNanoseconds : fitsYears
  const conditions = [
    ...(start !== undefined && fits(start) ? [`${expression} >= ${literal(start, 0n)}`] : []),
    // Nanoseconds past the bound are floored to it.
    ...(end !== undefined && fits(end) ? [`${expression} <= ${literal(end, 999n)}`] : []),
  ]
  return conditions.length > 0 ? conditions.join(' AND ') : undefined
}

const LITERALS: Readonly<Record<string, (at: Micros, nanos: bigint) => string>> = {
  TIMESTAMP: (at) => `make_timestamp(${at})`,
  'TIMESTAMP WITH TIME ZONE': (at) => `make_timestamptz(${at})`,
  DATE: (at) => `make_timestamp(${at})::DATE`,
  TIMESTAMP_NS: (at, nanos) => `make_timestamp_ns(${at * 1000n + nanos})`,
}

function fitsYears(at: Micros): boolean {
  return at > -62_135_596_800_000_000n && at < 253_402_300_800_000_000n
}

function fitsNanoseconds(at: Micros): boolean {
  return at > -9_000_000_000_000_000n && at < 9_000_000_000_000_000n
}

function key(expression: string, type: SqlType): string {
  if (type.kind === 'text' || isInteger(type)) return expression
  if (isText(type)) return `${expression}::VARCHAR`
  return micros(expression, type) ?? expression
}

function cast(expression: string, from: SqlType, to: FeastType): string | undefined {
  if (to.valueType === 'INVALID' || from.kind === 'null') return expression
  const target = sqlTypeFor(to)
  if (target.text === from.text) return expression
  switch (target.kind) {
    case 'int32':
    case 'int64':
      return integer(expression, from, target)
    case 'float':
    case 'double':
      return isNumber(from) ? `${expression}::${target.text}` : undefined
    case 'boolean':
      return isInteger(from) ? `${expression}::BOOLEAN` : undefined
    case 'bytes':
      return isText(from) ? `encode(${expression}::VARCHAR)` : undefined
    case 'timestampTz':
      return isInteger(from) ? `to_timestamp(${expression})` : zoned(expression, from)
    case 'list':
      return list(expression, from, to, target)
    case 'struct':
    case 'map':
      return composite(expression, from, target)
    default:
      return text(expression, from, to)
  }
}

function isNumber(type: SqlType): boolean {
  return isInteger(type) || ['float', 'double', 'decimal', 'boolean'].includes(type.kind)
}

/** Whole numbers that pandas kept as floats because of nulls come back whole; a fraction is an error, not a guess. */
function integer(expression: string, from: SqlType, target: SqlType): string | undefined {
  if (isInteger(from) || from.kind === 'boolean') return `${expression}::${target.text}`
  if (!isNumber(from)) return undefined
  const complaint = quoteText(`${expression.replace(/^s\./, '')} is not a whole number: `)
  const whole = `CASE WHEN ${expression} = trunc(${expression}) THEN ${expression}::${target.text} ELSE error(${complaint} || ${expression}::VARCHAR) END`
  if (from.kind === 'decimal') return `CASE WHEN ${expression} IS NOT NULL THEN ${whole} END`
  return `CASE WHEN NOT isnan(${expression}) THEN ${whole} END`
}

function zoned(expression: string, from: SqlType): string | undefined {
  const at = micros(expression, from)
  return at === undefined ? undefined : `make_timestamptz(${at})`
}

function list(expression: string, from: SqlType, to: FeastType, target: SqlType): string | undefined {
  if (from.kind !== 'list') return undefined
  const plain = from.element!.text === target.element!.text ? `${expression}::${target.text}` : undefined
  if (plain !== undefined) return plain
  const element = listElementOf(to)
  if (element === undefined) return expression
  const inner = cast('x', from.element!, element)
  return inner === undefined ? undefined : `list_transform(${expression}, lambda x: ${inner})`
}

function composite(expression: string, from: SqlType, target: SqlType): string | undefined {
  // A map's values carry no declared type; they stay as they are. Text is read as JSON when it becomes a cell.
  if (target.kind === 'map')
    return ['map', 'struct', 'text', 'json'].includes(from.kind) ? expression : undefined
  return from.kind === 'struct' || isText(from) ? `${expression}::${target.text}` : undefined
}

function text(expression: string, from: SqlType, to: FeastType): string | undefined {
  if (from.kind === 'bytes') return undefined
  if (to.valueType === 'STRUCT' || to.valueType === 'SCALAR_MAP' || /_(LIST|SET)$/.test(to.valueType)) {
    return ['map', 'struct', 'list', 'text', 'json'].includes(from.kind) ? expression : undefined
  }
  if (['list', 'struct', 'map'].includes(from.kind)) {
    return to.valueType === 'JSON' || to.valueType === 'STRING'
      ? `to_json(${expression})::VARCHAR`
      : undefined
  }
  return isTimestamp(from) && to.valueType !== 'STRING' ? undefined : `${expression}::VARCHAR`
}
