import { PULL_CREATED_TIMESTAMP, PULL_EVENT_TIMESTAMP } from '../offline-store.js'
import { tieOrder } from './point-in-time-join.js'
import type { SourceRows } from './source-rows.js'
import type { SqlDialect, TimeBounds } from './sql-dialect.js'

/** A pull, its columns and rows found: `keys[i]` is the output expression of `source.keys[i]`. */
export interface PulledRows {
  readonly source: SourceRows
  readonly keys: readonly { readonly expression: string; readonly name: string }[]
  readonly features: readonly string[]
  readonly bounds: TimeBounds
}

/** Every row in the window. */
export function allRows(pull: PulledRows, dialect: SqlDialect): string {
  const { source } = pull
  const columns = [...outputs(pull, dialect), ...times(source, dialect)]
  const conditions = [`${source.time} IS NOT NULL`, ...within(pull)]
  return `SELECT ${columns.join(', ')}\nFROM ${source.from}\nWHERE ${conditions.join(' AND ')}`
}

/**
 * The winner per key by R5, among rows with whole keys. The newest time per key is found from keys and times
 * alone; only the rows that have it are read in full, and ties among those are broken. NULL in a key or time equals
 * nothing in that join, so it needs no filter.
 */
export function latestRows(pull: PulledRows, dialect: SqlDialect): string {
  const { source } = pull
  const keys = source.keys.map((_, index) => `k${index}`)
  const newest = [
    `SELECT ${[...source.keys.map(({ value }, index) => `${value} AS k${index}`), `max(${source.time}) AS ft`].join(', ')}`,
    `FROM ${source.from}${where(within(pull))}`,
    ...(keys.length > 0 ? [`GROUP BY ${keys.map((_, index) => index + 1).join(', ')}`] : []),
  ].join(' ')
  const on = [...source.keys.map(({ value }, index) => `${value} = w.k${index}`), `${source.time} = w.ft`]
  const columns = [...outputs(pull, dialect), ...times(source, dialect)]
  const partition = [...keys.map((key) => `w.${key}`), 'w.ft'].join(', ')
  const rows = [
    `SELECT ${columns.join(', ')}, row_number() OVER (PARTITION BY ${partition} ORDER BY ${tieOrder(source).join(', ')}) AS place`,
    `FROM ${source.from} JOIN (${newest}) AS w ON ${[...on, ...source.prune(pull.bounds)].join(' AND ')}`,
  ].join('\n')
  const names = outputNames(pull).map((name) => dialect.name(name))
  return `SELECT ${names.join(', ')} FROM (\n${rows}\n) AS ranked WHERE place = 1`
}

/** How many rows a latest pull leaves out: those without an event time, and those in the window without a key. */
export function skippedRows(pull: PulledRows): string {
  const { source } = pull
  const noKey = source.keys.map(({ value }) => `${value} IS NULL`)
  const keyless =
    noKey.length > 0 ? ` OR (${[`(${noKey.join(' OR ')})`, ...within(pull)].join(' AND ')})` : ''
  return `SELECT count(*) FROM ${source.from} WHERE ${source.time} IS NULL${keyless}`
}

/** How many rows a latest pull gives. */
export function expectedRows(pull: PulledRows): string {
  const { source } = pull
  const keys = source.keys.map(({ value }, index) => `${value} AS k${index}`)
  const whole = [`${source.time} IS NOT NULL`, ...source.keys.map(({ value }) => `${value} IS NOT NULL`)]
  const rows = `FROM ${source.from}${where([...whole, ...within(pull)])}`
  return `SELECT count(*) FROM (SELECT DISTINCT ${keys.join(', ') || '1 AS one'} ${rows}) AS keys`
}

function within({ source, bounds }: PulledRows): readonly string[] {
  return [
    ...(bounds.start === undefined ? [] : [`${source.time} >= ${bounds.start}`]),
    ...(bounds.end === undefined ? [] : [`${source.time} <= ${bounds.end}`]),
    ...source.prune(bounds),
  ]
}

function where(conditions: readonly string[]): string {
  return conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''
}

function outputNames({ keys, features, source }: PulledRows): readonly string[] {
  const created = source.created === undefined ? [] : [PULL_CREATED_TIMESTAMP]
  return [...keys.map(({ name }) => name), ...features, PULL_EVENT_TIMESTAMP, ...created]
}

function outputs(pull: PulledRows, dialect: SqlDialect): readonly string[] {
  return [
    ...pull.keys.map(({ expression, name }) => `${expression} AS ${dialect.name(name)}`),
    ...pull.source.features.map(({ value }, index) => `${value} AS ${dialect.name(pull.features[index]!)}`),
  ]
}

function times(source: SourceRows, dialect: SqlDialect): readonly string[] {
  return [
    `${dialect.timestamp(source.time)} AS ${dialect.name(PULL_EVENT_TIMESTAMP)}`,
    ...(source.created === undefined
      ? []
      : [`${dialect.timestamp(source.created)} AS ${dialect.name(PULL_CREATED_TIMESTAMP)}`]),
  ]
}
