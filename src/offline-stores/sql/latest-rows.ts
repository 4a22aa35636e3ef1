import { PULL_CREATED_TIMESTAMP, PULL_EVENT_TIMESTAMP } from '../offline-store.js'
import { partition, tieOrder } from './point-in-time-join.js'
import type { SourceRows } from './source-rows.js'
import type { Part, SqlDialect, StepDialect, TimeBounds } from './sql-dialect.js'

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
  const columns = [...outputs(pull, dialect), ...timesOf(source, dialect)]
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
  const groups = source.keys.map((_, index) => index + 1).join(', ')
  const newest = [
    `SELECT ${[...keysOf(source), `max(${source.time}) AS ft`].join(', ')}`,
    `FROM ${source.from}${where(within(pull))}`,
    ...(groups === '' ? [] : [`GROUP BY ${groups}`]),
  ].join(' ')
  return winners(pull, dialect, `(${newest})`, source.prune(pull.bounds))
}

/** The same with the source in one place, for engines that charge for what they read. */
export function latestRowsInOneScan(pull: PulledRows, dialect: SqlDialect): string {
  const { source } = pull
  const columns = [...outputs(pull, dialect), ...timesOf(source, dialect)]
  const keys = source.keys.map(({ value }) => value)
  const order = [`${source.time} DESC`, ...tieOrder(source)].join(', ')
  const whole = [source.time, ...keys].map((value) => `${value} IS NOT NULL`)
  const rows = [
    `SELECT ${columns.join(', ')}, row_number() OVER (${partition(keys)}ORDER BY ${order}) AS __feast_place`,
    `FROM ${source.from}${where([...whole, ...within(pull)])}`,
  ].join('\n')
  return firstOf(pull, dialect, rows)
}

/** Statements that together give {@link latestRows} of one part of the keys. */
export interface LatestSteps {
  /** To be kept as {@link NEWEST}. */
  readonly newest: string
  /** Rows that need no sorting: theirs is the only one of that time. */
  readonly single: string
  readonly countTied: string
  readonly tied: string
}

export const NEWEST = 'newest_times'

/**
 * The same in steps that hold keys and times only, some keys at a time: a sort of whole rows would hold all of them,
 * and where there are no ties there is nothing to sort (1 M rows of 10 features: 65 MB less).
 */
export function latestSteps(pull: PulledRows, dialect: StepDialect, part: Part): LatestSteps {
  const { source } = pull
  const { holds, atMaximum } = dialect.parts!
  const isInPart = holds(
    source.keys.map(({ value }) => value),
    part,
  )
  const keys = source.keys.map((_, index) => `k${index}`).join(', ')
  const groups = source.keys.map((_, index) => index + 1).join(', ')
  const times = [
    `SELECT ${keysOf(source).join(', ')}, ${source.time} AS t, count(*) AS n`,
    `FROM ${source.from}${where([...within(pull), isInPart])} GROUP BY ${groups}, ${source.keys.length + 1}`,
  ].join(' ')
  const filters = [...source.prune(pull.bounds), isInPart]
  const columns = [...outputs(pull, dialect), ...timesOf(source, dialect)]
  return {
    newest: `SELECT ${keys}, max(t) AS ft, ${atMaximum('n', 't')} AS n FROM (${times}) AS times GROUP BY ${groups}`,
    single: `SELECT ${columns.join(', ')}\nFROM ${source.from} JOIN ${NEWEST} AS w ON ${[...onNewest(source), 'w.n = 1', ...filters].join(' AND ')}`,
    countTied: `SELECT count(*) FROM ${NEWEST} WHERE n > 1`,
    tied: winners(pull, dialect, NEWEST, ['w.n > 1', ...filters]),
  }
}

/** Of the rows that have their key's newest time, the first by the order of ties. */
function winners(pull: PulledRows, dialect: SqlDialect, newest: string, filters: readonly string[]): string {
  const { source } = pull
  const columns = [...outputs(pull, dialect), ...timesOf(source, dialect)]
  const partition = [...source.keys.map((_, index) => `w.k${index}`), 'w.ft'].join(', ')
  const rows = [
    `SELECT ${columns.join(', ')}, row_number() OVER (PARTITION BY ${partition} ORDER BY ${tieOrder(source).join(', ')}) AS __feast_place`,
    `FROM ${source.from} JOIN ${newest} AS w ON ${[...onNewest(source), ...filters].join(' AND ')}`,
  ].join('\n')
  return firstOf(pull, dialect, rows)
}

function firstOf(pull: PulledRows, dialect: SqlDialect, ranked: string): string {
  const names = outputNames(pull).map((name) => dialect.name(name))
  return `SELECT ${names.join(', ')} FROM (\n${ranked}\n) AS ranked WHERE __feast_place = 1`
}

function keysOf({ keys }: SourceRows): readonly string[] {
  return keys.map(({ value }, index) => `${value} AS k${index}`)
}

function onNewest({ keys, time }: SourceRows): readonly string[] {
  return [...keys.map(({ value }, index) => `${value} = w.k${index}`), `${time} = w.ft`]
}

/** How many rows there are in the window, of whatever keys. */
export function windowRows(pull: PulledRows): string {
  return `SELECT count(*) FROM ${pull.source.from}${where(within(pull))}`
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

function timesOf(source: SourceRows, dialect: SqlDialect): readonly string[] {
  return [
    `${dialect.instant(source.time)} AS ${dialect.name(PULL_EVENT_TIMESTAMP)}`,
    ...(source.created === undefined
      ? []
      : [`${dialect.instant(source.created)} AS ${dialect.name(PULL_CREATED_TIMESTAMP)}`]),
  ]
}
