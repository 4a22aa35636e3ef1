import { jsonCellReader } from '../codec/json-cell.js'
import { rowValueOf } from '../codec/row-value.js'
import { NULL_SECONDS } from '../codec/value.js'
import { isFeastError, messageOf } from '../core/errors.js'
import { FIELD_STATUSES, type FieldStatus } from '../core/field-status.js'
import { tryParseInstant } from '../core/instant.js'
import type { FeastType } from '../core/value-type.js'
import { type Int64Form, safeNumbers } from './feature-value.js'
import { LazyColumn, type OnlineColumn } from './online-features.js'
import { misshapen } from './proto-answer.js'

/**
 * The columns of Feast's JSON answer. JSON does not tell types apart: where the schema does not, a number without
 * a fraction is an INT64, and bytes and instants are what JSON has for them. @throws BYTES_UNREADABLE
 */
export function jsonColumns(
  body: Buffer,
  rowCount: number,
  typeOf: (name: string) => FeastType | undefined,
  int64: Int64Form,
): OnlineColumn<unknown>[] {
  const { metadata, results } = parseAnswer(body)
  if (metadata?.feature_names?.length !== results?.length || results === undefined) {
    throw misshapen('it is not the JSON of online features')
  }
  return results.map(({ values = [], statuses = [], event_timestamps: times = [] }, i) => {
    const name = metadata!.feature_names![i]!
    const odd = [values, statuses, times].find(({ length }) => length !== rowCount)
    if (odd) throw misshapen(`column "${name}" has ${odd.length} rows, asked were ${rowCount}`)
    return new LazyColumn(name, {
      values: () => values.map(valueReader(name, typeOf(name), int64)),
      statuses: () => statuses.map(statusOf),
      eventTimestamps: () => times.map(timeOf),
    })
  })
}

interface JsonAnswer {
  readonly metadata?: { readonly feature_names?: readonly string[] }
  readonly results?: readonly {
    readonly values?: readonly unknown[]
    readonly statuses?: readonly string[]
    readonly event_timestamps?: readonly string[]
  }[]
}

function parseAnswer(body: Buffer): JsonAnswer {
  try {
    return parseExactly(body.toString('utf8')) as JsonAnswer
  } catch (error) {
    throw misshapen(messageOf(error))
  }
}

/** A number as it was written, so that no digit is lost and 1 is not 1.0. */
class Digits {
  constructor(readonly text: string) {}

  get value(): number | bigint {
    return /^-?\d+$/.test(this.text) ? BigInt(this.text) : Number(this.text)
  }
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g

/** Marks what is text and what is a number before JSON.parse makes both forget it. */
function parseExactly(text: string): unknown {
  const marked = text.replace(TOKEN, (token) => (token[0] === '"' ? `"t${token.slice(1)}` : `"n${token}"`))
  return unmarked(JSON.parse(marked))
}

function unmarked(value: unknown): unknown {
  if (typeof value === 'string') return value[0] === 'n' ? new Digits(value.slice(1)) : value.slice(1)
  if (Array.isArray(value)) return value.map(unmarked)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name.slice(1), unmarked(one)]))
}

function valueReader(
  name: string,
  type: FeastType | undefined,
  int64: Int64Form,
): (value: unknown) => unknown {
  const finish = int64 === 'number' ? (value: unknown) => safeNumbers(name, value) : (value: unknown) => value
  if (type === undefined || SELF_TYPED.includes(type.valueType)) return (value) => finish(plain(value))
  const read = jsonCellReader(type, `"${name}"`)
  const isTime = type.valueType.startsWith('UNIX_TIMESTAMP')
  return (value) => {
    try {
      const given = plain(value)
      return finish(rowValueOf(read(isTime ? withoutNullTimes(given) : given), type))
    } catch (error) {
      // The view may have had another type when the value was written.
      if (!isFeastError(error, 'INVALID_VALUE')) throw error
      return finish(plain(value))
    }
  }
}

const SELF_TYPED: readonly string[] = ['MAP', 'MAP_LIST', 'SCALAR_MAP'] satisfies FeastType['valueType'][]

function plain(value: unknown): unknown {
  if (value instanceof Digits) return value.value
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]))
}

function withoutNullTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNullTimes)
  return value === NULL_SECONDS ? null : value
}

function statusOf(text: string): FieldStatus {
  return FIELD_STATUSES.find((status) => status === text) ?? 'INVALID'
}

function timeOf(text: string): Date | null {
  const micros = tryParseInstant(text)
  return micros === undefined || micros === 0n ? null : new Date(Math.floor(Number(micros) / 1000))
}
