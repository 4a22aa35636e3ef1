import type { Micros } from '../../core/instant.js'
import { type CastForms, castWith } from '../sql/sql-cast.js'
import type { StepDialect, TimeBounds } from '../sql/sql-dialect.js'
import { isInteger, isText, type SqlType } from '../sql/sql-type.js'
import { quoteName, quoteText } from './duckdb-quote.js'
import { sqlTypeFor } from './duckdb-types.js'

const castForms: CastForms = {
  plain: (expression, target) => `${expression}::${target.text}`,
  truncate: 'trunc',
  isNan: 'isnan',
  failing: (complaint, expression) => `error(${quoteText(complaint)} || ${expression}::VARCHAR)`,
  text: (expression) => `${expression}::VARCHAR`,
  bytes: (text) => `encode(${text})`,
  json: (expression) => `to_json(${expression})::VARCHAR`,
  time: (expression, from) => (isInteger(from) ? `to_timestamp(${expression})` : zoned(expression, from)),
  list(expression, from, target, inner) {
    if (from.element!.text === target.element!.text) return `${expression}::${target.text}`
    if (inner === undefined) return expression
    const made = inner('x')
    return made && `list_transform(${expression}, lambda x: ${made})`
  },
  struct: (expression, _from, _to, target) => `${expression}::${target.text}`,
  map: (expression) => expression,
}

/** The session's TimeZone must be UTC: naive times and texts without offset are read in it. */
export const duckdbDialect: StepDialect = {
  name: quoteName,
  typeFor: sqlTypeFor,
  micros,
  timestamp: (expression) => `make_timestamptz(${expression})`,
  instant: (expression) => `make_timestamptz(${expression})`,
  prune,
  cast: castWith(sqlTypeFor, castForms),
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

function zoned(expression: string, from: SqlType): string | undefined {
  const at = micros(expression, from)
  return at === undefined ? undefined : `make_timestamptz(${at})`
}
