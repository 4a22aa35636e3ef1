import type { Micros } from '../../core/instant.js'
import type { FeastType } from '../../core/value-type.js'
import { type Cast, type CastForms, castWith } from './sql-cast.js'
import type { SqlDialect, TimeBounds } from './sql-dialect.js'
import { isInteger, isText, isTimestamp, type SqlType } from './sql-type.js'
import { quoted, textLiteral, trinoTypeFor } from './trino-types.js'

/**
 * SQL of Trino and of Athena, which is Trino. The session's zone must be UTC.
 * Times leave in results as BIGINT microseconds; features that are times keep the engine's type.
 * @param digits of a second in those: Athena's Hive tables take 3
 */
export function trinoDialect(digits: 3 | 6): SqlDialect {
  const typeFor = (type: FeastType) => trinoTypeFor(type, digits)
  const timestamp = (micros: string) =>
    `CAST(from_unixtime_nanos(CAST(${micros} AS DECIMAL(38,0)) * 1000) AT TIME ZONE 'UTC' AS TIMESTAMP(${digits}))`
  const cast = castWith(typeFor, castForms(timestamp))
  const own = (expression: string, type: SqlType) => ownTime(expression, type, digits)
  return { name: quoted, typeFor, micros, own, timestamp, instant: (at) => at, prune, cast, key, orderable }
}

/** Finer digits are floored and zones taken off by way of microseconds. */
function ownTime(expression: string, type: SqlType, digits: 3 | 6): string | undefined {
  if (type.kind !== 'timestamp' || digits !== 6) return undefined
  return digitsOf(type) === 6 ? expression : `CAST(${expression} AS TIMESTAMP(6))`
}

function digitsOf(type: SqlType): number {
  return Number(/\((\d+)\)/.exec(type.text)?.[1] ?? 3)
}

function micros(expression: string, type: SqlType): string | undefined {
  switch (type.kind) {
    case 'timestamp':
    case 'timestampNs':
      return plainMicros(expression, digitsOf(type))
    case 'timestampTz': {
      const digits = digitsOf(type)
      return plainMicros(`CAST(${expression} AT TIME ZONE 'UTC' AS TIMESTAMP(${digits}))`, digits)
    }
    case 'date':
      return `(date_diff('day', DATE '1970-01-01', ${expression}) * 86400000000)`
    case 'text':
      // Nine digits, so that what is past the microsecond is floored and not rounded.
      return plainMicros(
        `CAST(CAST(regexp_replace(${expression}, '^(\\S+)[Tt]', '$1 ') AS TIMESTAMP(9) WITH TIME ZONE) AT TIME ZONE 'UTC' AS TIMESTAMP(9))`,
        9,
      )
    default:
      return undefined
  }
}

/** Whole milliseconds are exact in any year; what is left of a second's digits stands at the end of the text. */
function plainMicros(expression: string, digits: number): string {
  const millis = `date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00.000', ${expression}) * 1000`
  if (digits <= 3) return `(${millis})`
  const rest = `substr(CAST(${expression} AS VARCHAR), -${digits - 3}, 3)`
  const padded = digits < 6 ? `rpad(${rest}, 3, '0')` : rest
  return `(${millis} + CAST(${padded} AS BIGINT))`
}

function prune(expression: string, type: SqlType, { start, end }: TimeBounds): string | undefined {
  const literal = boundLiteral(type)
  if (literal === undefined) return undefined
  const conditions = [
    ...(start !== undefined && fitsYears(start) ? [`${expression} >= ${literal(start, '000')}`] : []),
    // Nanoseconds past the bound are floored to it.
    ...(end !== undefined && fitsYears(end) ? [`${expression} <= ${literal(end, '999')}`] : []),
  ]
  return conditions.length > 0 ? conditions.join(' AND ') : undefined
}

/** A bound in the column's own type, so that the engine compares without casting the column. */
function boundLiteral(type: SqlType): ((at: Micros, nanos: string) => string) | undefined {
  if (type.kind === 'date') return (at) => `DATE '${wallClock(at).slice(0, 10)}'`
  if (!isTimestamp(type)) return undefined
  const digits = Math.min(9, digitsOf(type))
  const zone = type.kind === 'timestampTz' ? ' UTC' : ''
  return (at, nanos) =>
    `TIMESTAMP '${`${wallClock(at)}${nanos}`.slice(0, 20 + digits).replace(/\.$/, '')}${zone}'`
}

/** `2024-01-10 12:00:00.123456` */
export function wallClock(at: Micros): string {
  const fraction = ((at % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((at - fraction) / 1000n)).toISOString().slice(0, 19).replace('T', ' ')
  return `${seconds}.${String(fraction).padStart(6, '0')}`
}

/** Years of four digits. */
function fitsYears(at: Micros): boolean {
  return at > -62_135_596_800_000_000n && at < 253_402_300_800_000_000n
}

function key(expression: string, type: SqlType): string {
  if (isInteger(type)) return type.kind === 'int64' ? expression : `CAST(${expression} AS BIGINT)`
  if (isText(type)) return type.text === 'VARCHAR' ? expression : `CAST(${expression} AS VARCHAR)`
  return micros(expression, type) ?? expression
}

/**
 * Trino compares no arrays or rows that hold NULL: each element gets a flag before it, and a value in place of NULL.
 * Maps are compared by their JSON, in which keys are sorted.
 */
function orderable(expression: string, type: SqlType): string {
  return orderForm(type).of(expression)
}

interface OrderForm {
  of(expression: string): string
  /** Some value of the form's type. */
  readonly some: string
}

function orderForm(type: SqlType, depth = 0): OrderForm {
  const flagged = (inner: OrderForm, expression: string) =>
    `ROW(IF(${expression} IS NULL, 1, 0), coalesce(${inner.of(expression)}, ${inner.some}))`
  switch (type.kind) {
    case 'list': {
      const inner = orderForm(type.element!, depth + 1)
      const name = `x${depth}`
      return {
        of: (expression) => `transform(${expression}, ${name} -> ${flagged(inner, name)})`,
        some: `ARRAY[ROW(1, ${inner.some})]`,
      }
    }
    case 'struct': {
      const fields = Object.entries(type.fields!).map(([name, field]) => ({
        ref: `.${quoted(name)}`,
        inner: orderForm(field, depth),
      }))
      const parts = (expression: string) =>
        fields.map(({ ref, inner }) => flagged(inner, `${expression}${ref}`)).join(', ')
      return {
        of: (expression) => `IF(${expression} IS NOT NULL, ROW(${parts(expression)}))`,
        some: `ROW(${fields.map(({ inner }) => `ROW(1, ${inner.some})`).join(', ')})`,
      }
    }
    case 'map':
    case 'json':
      return { of: (expression) => jsonText(expression, type), some: `''` }
    case 'other':
      return { of: (expression) => `CAST(${expression} AS VARCHAR)`, some: `''` }
    case 'uuid':
    case 'text':
    case 'enum':
      return { of: (expression) => key(expression, type), some: `''` }
    case 'boolean':
      return { of: (expression) => expression, some: 'false' }
    case 'float':
    case 'double': {
      // In Trino's sorts NaN comes before all numbers; the greatest value (R5) it is here.
      const zero = `CAST(0 AS ${type.text})`
      const parts = (x: string) => `is_nan(${x}), IF(is_nan(${x}), ${zero}, ${x})`
      return {
        of: (expression) => `IF(${expression} IS NOT NULL, ROW(${parts(expression)}))`,
        some: `ROW(false, ${zero})`,
      }
    }
    case 'bytes':
      return { of: (expression) => expression, some: `X''` }
    case 'date':
    case 'timestamp':
    case 'timestampNs':
    case 'timestampTz':
      return { of: (expression) => expression, some: `CAST('1970-01-01 00:00:00' AS ${type.text})` }
    default:
      return { of: (expression) => expression, some: `CAST(0 AS ${type.text})` }
  }
}

/** JSON has no bytes: of maps that hold some, only the size is told apart. */
function jsonText(expression: string, type: SqlType): string {
  const holdsOther = [type.key, type.value].some(
    (inner) => inner?.kind === 'bytes' || inner?.kind === 'other',
  )
  return holdsOther
    ? `CAST(cardinality(${expression}) AS VARCHAR)`
    : `json_format(CAST(${expression} AS JSON))`
}

function castForms(timestamp: (micros: string) => string): CastForms {
  return {
    plain: (expression, target) => `CAST(${expression} AS ${target.text})`,
    truncate: 'truncate',
    isNan: 'is_nan',
    // What cannot be cast is named by the engine's own error.
    failing: (complaint, expression, target) =>
      `CAST(concat(${textLiteral(complaint)}, CAST(${expression} AS VARCHAR)) AS ${target.text})`,
    text: (expression, from) =>
      from.kind === 'json' ? `json_format(${expression})` : `CAST(${expression} AS VARCHAR)`,
    bytes: (text) => `to_utf8(${text})`,
    json: (expression) => `json_format(CAST(${expression} AS JSON))`,
    time: (expression, from, target) => time(expression, from, target, timestamp),
    list,
    struct,
    map: (expression, from, target) =>
      from.kind === 'map' && from.key!.kind !== 'text' ? `CAST(${expression} AS ${target.text})` : expression,
  }
}

function time(
  expression: string,
  from: SqlType,
  target: SqlType,
  timestamp: (micros: string) => string,
): string | undefined {
  if (isInteger(from)) return timestamp(`CAST(${expression} AS BIGINT) * 1000000`)
  // Fewer digits, no zone: nothing to floor.
  const isCoarser = from.kind === 'timestamp' && digitsOf(from) <= digitsOf(target)
  if (from.kind === 'date' || isCoarser) return `CAST(${expression} AS ${target.text})`
  const at = micros(expression, from)
  return at === undefined ? undefined : timestamp(at)
}

/** Elements are named by how deep they stand, so that an inner list's is not the outer's. */
function list(
  expression: string,
  from: SqlType,
  _: SqlType,
  inner: ((name: string) => string | undefined) | undefined,
): string | undefined {
  if (inner === undefined) return expression
  const name = `y${depthOf(from)}`
  const made = inner(name)
  if (made === undefined) return undefined
  return made === name ? expression : `transform(${expression}, ${name} -> ${made})`
}

function depthOf(type: SqlType): number {
  return type.element ? 1 + depthOf(type.element) : 0
}

/** Trino casts rows by position; fields here go by name. Text stays, and is read as JSON when it becomes a cell. */
function struct(
  expression: string,
  from: SqlType,
  to: FeastType,
  target: SqlType,
  cast: Cast,
): string | undefined {
  if (from.kind !== 'struct') return expression
  const parts = Object.entries(to.fields ?? {}).map(([name, type]) => {
    const field = from.fields![name]
    return field === undefined ? 'NULL' : cast(`${expression}.${quoted(name)}`, field, type)
  })
  if (parts.includes(undefined)) return undefined
  return `IF(${expression} IS NOT NULL, CAST(ROW(${parts.join(', ')}) AS ${target.text}))`
}
