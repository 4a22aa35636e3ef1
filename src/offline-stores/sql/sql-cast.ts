import type { FeastType } from '../../core/value-type.js'
import { listElementOf } from '../list-element.js'
import type { SqlDialect } from './sql-dialect.js'
import { isInteger, isText, isTimestamp, type SqlType } from './sql-type.js'

export type Cast = SqlDialect['cast']

/** How an engine writes a cast. Which casts there are is the same for all engines ({@link castWith}). */
export interface CastForms {
  /** Between numbers. */
  plain(expression: string, target: SqlType): string
  readonly truncate: string
  readonly isNan: string
  /** Ends the statement with a text and the value, where a `target` stands. */
  failing(complaint: string, expression: string, target: SqlType): string
  text(expression: string, from: SqlType): string
  /** Of a text. */
  bytes(text: string): string
  /** Of a list, struct or map. */
  json(expression: string): string
  /** Of a time, or of seconds in whole numbers; undefined: `from` is neither. */
  time(expression: string, from: SqlType, target: SqlType): string | undefined
  /** @param inner casts an element, `name` being what stands for it; undefined: elements stay as they are */
  list(
    expression: string,
    from: SqlType,
    target: SqlType,
    inner: ((name: string) => string | undefined) | undefined,
  ): string | undefined
  /** Of a struct, or of text. */
  struct(expression: string, from: SqlType, to: FeastType, target: SqlType, cast: Cast): string | undefined
  /** Of a map, a struct or text. */
  map(expression: string, from: SqlType, target: SqlType): string
}

/** Which values of a column can be which declared type. */
export function castWith(typeFor: (type: FeastType) => SqlType, forms: CastForms): Cast {
  const cast: Cast = (expression, from, to) => {
    if (to.valueType === 'INVALID' || from.kind === 'null') return expression
    const target = typeFor(to)
    if (target.text === from.text) return expression
    switch (target.kind) {
      case 'int32':
      case 'int64':
        return whole(expression, from, target, forms)
      case 'float':
      case 'double':
        return isNumber(from) ? forms.plain(expression, target) : undefined
      case 'boolean':
        return isInteger(from) ? forms.plain(expression, target) : undefined
      case 'bytes':
        return isText(from) ? forms.bytes(forms.text(expression, from)) : undefined
      case 'timestamp':
      case 'timestampTz':
        return forms.time(expression, from, target)
      case 'list': {
        if (from.kind !== 'list') return undefined
        const element = listElementOf(to)
        return forms.list(expression, from, target, element && ((name) => cast(name, from.element!, element)))
      }
      case 'struct':
        return from.kind === 'struct' || isText(from)
          ? forms.struct(expression, from, to, target, cast)
          : undefined
      // A map's values carry no declared type; they stay as they are. Text is read as JSON when it becomes a cell.
      case 'map':
        return KEPT.includes(from.kind) && from.kind !== 'list'
          ? forms.map(expression, from, target)
          : undefined
      default:
        return text(expression, from, to, forms)
    }
  }
  return cast
}

/** What cells of containers without a type of the engine's own are made from. */
const KEPT: readonly SqlType['kind'][] = ['map', 'struct', 'list', 'text', 'json']

function isNumber(type: SqlType): boolean {
  return isInteger(type) || ['float', 'double', 'decimal', 'boolean'].includes(type.kind)
}

/** Whole numbers that pandas kept as floats because of nulls come back whole; a fraction is an error, not a guess. */
function whole(expression: string, from: SqlType, target: SqlType, forms: CastForms): string | undefined {
  if (isInteger(from) || from.kind === 'boolean') return forms.plain(expression, target)
  if (!isNumber(from)) return undefined
  const failing = forms.failing(
    `${expression.replace(/^s\./, '')} is not a whole number: `,
    expression,
    target,
  )
  const value = `CASE WHEN ${expression} = ${forms.truncate}(${expression}) THEN ${forms.plain(expression, target)} ELSE ${failing} END`
  const isThere = from.kind === 'decimal' ? `${expression} IS NOT NULL` : `NOT ${forms.isNan}(${expression})`
  return `CASE WHEN ${isThere} THEN ${value} END`
}

function text(expression: string, from: SqlType, to: FeastType, forms: CastForms): string | undefined {
  if (from.kind === 'bytes') return undefined
  if (to.valueType === 'STRUCT' || to.valueType === 'SCALAR_MAP' || /_(LIST|SET)$/.test(to.valueType)) {
    return KEPT.includes(from.kind) ? expression : undefined
  }
  if (['list', 'struct', 'map'].includes(from.kind)) {
    return to.valueType === 'JSON' || to.valueType === 'STRING' ? forms.json(expression) : undefined
  }
  return isTimestamp(from) && to.valueType !== 'STRING' ? undefined : forms.text(expression, from)
}
