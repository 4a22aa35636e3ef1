import type { Micros } from '../../core/instant.js'
import type { SqlDialect, TimeBounds } from './sql-dialect.js'
import { isInteger, isText, type SqlType } from './sql-type.js'

export interface PartitionColumn {
  readonly expression: string
  readonly type: SqlType
  /** `yyyy-MM-dd`: how times are written in it. */
  readonly format: string
}

/** Filters on partition columns, coarsest first, that let through at least the times in the bounds. */
export function partitionFilter(
  columns: readonly PartitionColumn[],
  bounds: TimeBounds,
  dialect: SqlDialect,
): readonly string[] {
  const [first] = columns
  if (first === undefined) return []
  if (first.type.kind === 'date')
    return [dialect.prune(first.expression, first.type, bounds)].flatMap((one) => one ?? [])
  const whole = joined(columns)
  return [
    ...within(first.expression, first.type, first.format, bounds),
    ...(columns.length > 1 && whole
      ? within(whole, first.type, columns.map(({ format }) => format).join(''), bounds)
      : []),
  ]
}

/** Several columns as one that orders as time does. */
function joined(columns: readonly PartitionColumn[]): string | undefined {
  if (columns.every(({ type }) => isText(type)))
    return `(${columns.map(({ expression }) => expression).join(' || ')})`
  if (!columns.every(({ type }) => isInteger(type))) return undefined
  const sizes = columns.map(({ format }) => format.length)
  const terms = columns.map(({ expression }, index) => {
    const digits = sizes.slice(index + 1).reduce((sum, size) => sum + size, 0)
    return digits === 0 ? expression : `${expression} * ${10 ** digits}`
  })
  return `(${terms.join(' + ')})`
}

function within(
  expression: string,
  type: SqlType,
  format: string,
  { start, end }: TimeBounds,
): readonly string[] {
  if (!ordersAsTime(format)) return []
  const literal = (at: Micros) => {
    const text = formatTime(at, format)
    return isInteger(type) ? String(Number(text)) : `'${text}'`
  }
  if (isInteger(type) ? /[^yMdHms]/.test(format) : !isText(type)) return []
  return [
    ...(start !== undefined && fits(start) ? [`${expression} >= ${literal(start)}`] : []),
    ...(end !== undefined && fits(end) ? [`${expression} <= ${literal(end)}`] : []),
  ]
}

/** True when later times are greater texts: years of four digits before months, months before days, and so on. */
export function ordersAsTime(format: string): boolean {
  const units = (format.replace(/'[^']*'/g, '').match(/y+|M+|d+|H+|m+|s+/g) ?? []).join(' ')
  return units !== '' && 'yyyy MM dd HH mm ss'.startsWith(units)
}

/** In UTC. */
export function formatTime(at: Micros, format: string): string {
  const iso = new Date(Number((at - (((at % 1000n) + 1000n) % 1000n)) / 1000n)).toISOString()
  const parts: Readonly<Record<string, string>> = {
    yyyy: iso.slice(0, 4),
    MM: iso.slice(5, 7),
    dd: iso.slice(8, 10),
    HH: iso.slice(11, 13),
    mm: iso.slice(14, 16),
    ss: iso.slice(17, 19),
  }
  return format.replace(
    /'([^']*)'|yyyy|MM|dd|HH|mm|ss/g,
    (token, quoted: string | undefined) => quoted ?? parts[token]!,
  )
}

/** Years of four digits. */
function fits(at: Micros): boolean {
  return at > -62_135_596_800_000_000n && at < 253_402_300_800_000_000n
}
