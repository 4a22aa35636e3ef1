import type { SourceRows } from './source-rows.js'
import type { StepDialect, TimeBounds } from './sql-dialect.js'

/** Statements to run in order, each kept under its name for the later ones, and the one that gives the rows. */
export interface SqlProgram {
  readonly steps: readonly { readonly name: string; readonly sql: string }[]
  readonly select: string
}

/** The staged entity rows: `r` (ordinal), `t` (microseconds or NULL), and `e0`, `e1`, … as given. */
export const ENTITY_ROWS = 'entity_rows'

/** One view's part of the join. */
export interface JoinedView {
  readonly source: SourceRows
  /** The entity rows' expressions (over alias `e`) that equal the source's keys, in their order. */
  readonly entityKeys: readonly string[]
  /** Microseconds; 0 = no limit. */
  readonly ttlMicros: bigint
  /** R8: rows count from when they were created. */
  readonly fromCreated: boolean
}

/** One column of the result, over `e` (entity rows) and `v0`, `v1`, … (the views' rows `f0`, `f1`, …). */
export interface OutputColumn {
  readonly expression: string
  readonly name: string
}

/**
 * The point-in-time join (R1–R11).
 *
 * Per view, first only keys and times decide: `hit` holds each entity row's winning time (the newest one not after
 * it, dropped when older than the TTL, which only gets worse with older rows). Features are then read for the
 * winners alone: `best` is one row per (keys, time), ties broken by R5. So what is sorted is narrow, what is wide
 * is at most one row per entity row, and hot keys cost n log n.
 */
export function pointInTimeJoin(
  views: readonly JoinedView[],
  output: readonly OutputColumn[],
  span: TimeBounds,
  dialect: StepDialect,
): SqlProgram {
  const steps = views.flatMap((view, index) => [
    { name: `hit${index}`, sql: hit(view, span, dialect) },
    { name: `best${index}`, sql: best(view, `hit${index}`, span) },
  ])
  const columns = output.map(({ expression, name }) => `${expression} AS ${dialect.name(name)}`)
  const joins = views.flatMap((view, index) => [
    `LEFT JOIN hit${index} AS h${index} ON h${index}.r = e.r`,
    `LEFT JOIN best${index} AS v${index} ON ${same(`v${index}`, `h${index}`, winnerColumns(view))}`,
  ])
  return {
    steps,
    select: [`SELECT ${columns.join(', ')}`, `FROM ${ENTITY_ROWS} AS e`, ...joins, 'ORDER BY e.r'].join('\n'),
  }
}

/** What names a winner: its keys and time, and with R8 when it was created (ties before it may not exist yet). */
function winnerColumns(view: JoinedView): readonly string[] {
  return [...keyColumns(view), 'ft', ...(view.fromCreated ? ['fc'] : [])]
}

export function keyColumns(view: JoinedView): readonly string[] {
  return view.entityKeys.map((_, index) => `k${index}`)
}

function same(a: string, b: string, columns: readonly string[]): string {
  return columns.map((column) => `${a}.${column} = ${b}.${column}`).join(' AND ')
}

function hit(view: JoinedView, span: TimeBounds, dialect: StepDialect): string {
  const lookups = `SELECT ${['e.r', 'e.t', ...named(view.entityKeys)].join(', ')} ${wholeEntityRows(view)}`
  const nearest = asOf(view, lookups, span, dialect)
  const times = view.fromCreated
    ? [`${dialect.pairFirst('best')} AS ft`, `${dialect.pairSecond('best')} AS fc`]
    : ['best AS ft']
  const fresh = view.ttlMicros > 0n ? ` WHERE ft >= t - ${view.ttlMicros}` : ''
  const found = `SELECT ${['r', 't', ...keyColumns(view), ...times].join(', ')} FROM (\n${nearest}\n)`
  return `SELECT ${['r', ...winnerColumns(view)].join(', ')} FROM (${found})${fresh}`
}

/** Entity rows that can find something. */
export function wholeEntityRows(view: JoinedView): string {
  return `FROM ${ENTITY_ROWS} AS e WHERE ${['e.t IS NOT NULL', ...view.entityKeys.map(notNull)].join(' AND ')}`
}

function asOf(view: JoinedView, lookups: string, span: TimeBounds, dialect: StepDialect): string {
  const columns = ['e.r', 'e.t', ...keyColumns(view).map((key) => `e.${key}`), 'g.best']
  const keys = keyColumns(view).map((key) => `e.${key} = g.${key}`)
  return [
    `SELECT ${columns.join(', ')} FROM (${lookups}) AS e`,
    `ASOF JOIN (${candidates(view, span, dialect)}) AS g`,
    `ON ${[...keys, 'e.t >= g.since'].join(' AND ')}`,
  ].join('\n')
}

/**
 * Source rows by key: `since` is from when on a row can win, `best` the times it then stands for.
 *
 * With R8 a row counts once both its times have passed. Among the rows that count, the greatest (time, created) is a
 * running maximum, so that again only the last row before the entity row's time must be found.
 */
function candidates(view: JoinedView, span: TimeBounds, dialect: StepDialect): string {
  const { source } = view
  const keys = keyColumns(view)
  const since = view.fromCreated ? `greatest(${source.time}, ${source.created})` : source.time
  const times = view.fromCreated ? dialect.pair(source.time, source.created!) : source.time
  const columns = [...named(source.keys.map(({ value }) => value)), `${since} AS since`, `${times} AS best`]
  const rows = [
    `SELECT ${columns.join(', ')} FROM ${source.from}`,
    ...wantedKeys(view),
    `WHERE ${conditions(view, span).join(' AND ')}`,
  ].join('\n')
  if (!view.fromCreated) return rows
  const running = `max(best) OVER (${partition(keys)}ORDER BY since RANGE UNBOUNDED PRECEDING) AS best`
  return `SELECT ${[...keys, 'since', running].join(', ')} FROM (\n${rows}\n)`
}

export function partition(keys: readonly string[]): string {
  return keys.length > 0 ? `PARTITION BY ${keys.join(', ')} ` : ''
}

function wantedKeys(view: JoinedView): readonly string[] {
  if (view.entityKeys.length === 0) return []
  const keys = `SELECT DISTINCT ${named(view.entityKeys).join(', ')} FROM ${ENTITY_ROWS} AS e`
  return [`JOIN (${keys}) AS w ON ${sourceHas(view)}`]
}

export function sourceHas(view: JoinedView): string {
  return view.source.keys.map(({ value }, index) => `${value} = w.k${index}`).join(' AND ')
}

export function conditions(view: JoinedView, span: TimeBounds): readonly string[] {
  const { source } = view
  return [
    notNull(source.time),
    ...(view.fromCreated ? [notNull(source.created!)] : []),
    ...source.prune(reach(view, span)),
  ]
}

/** The event times that can matter to entity rows in `span`. */
function reach(view: JoinedView, span: TimeBounds): TimeBounds {
  const start = view.ttlMicros === 0n || span.start === undefined ? undefined : span.start - view.ttlMicros
  return { start, end: span.end }
}

/** The winners' rows: one per winner, by R5. */
function best(view: JoinedView, hits: string, span: TimeBounds): string {
  const { source } = view
  const winners = winnerColumns(view)
  const on = [
    ...source.keys.map(({ value }, index) => `${value} = w.k${index}`),
    `${source.time} = w.ft`,
    ...(view.fromCreated ? [`${source.created} = w.fc`] : []),
    ...source.prune(reach(view, span)),
  ]
  const features = source.features.map(({ value }, index) => `${value} AS f${index}`)
  const order = tieOrder(source)
  const rows = [
    `SELECT ${[...winners.map((column) => `w.${column}`), ...features].join(', ')}`,
    `, row_number() OVER (PARTITION BY ${winners.map((column) => `w.${column}`).join(', ')} ORDER BY ${order.join(', ')}) AS place`,
    `FROM ${source.from} JOIN (SELECT DISTINCT ${winners.join(', ')} FROM ${hits}) AS w ON ${on.join(' AND ')}`,
  ].join('\n')
  const columns = [...winners, ...features.map((_, index) => `f${index}`)]
  return `SELECT ${columns.join(', ')} FROM (\n${rows}\n) WHERE place = 1`
}

/** R5 among rows of one key and time. */
export function tieOrder(source: SourceRows): readonly string[] {
  const order = tieBreakers(source).map((expression) => `${expression} DESC NULLS LAST`)
  return order.length > 0 ? order : [source.time]
}

/** What decides among rows of one key and time: the greatest wins, NULL is the lowest. */
export function tieBreakers(source: SourceRows): readonly string[] {
  const features = source.features.map((feature) => feature.order)
  return source.created === undefined ? features : [source.created, ...features]
}

export function named(expressions: readonly string[]): readonly string[] {
  return expressions.map((expression, index) => `${expression} AS k${index}`)
}

export function notNull(expression: string): string {
  return `${expression} IS NOT NULL`
}
