import { feastError } from '../../core/errors.js'
import { UnixTimestamp } from '../../core/value-type.js'
import {
  conditions,
  ENTITY_ROWS,
  type JoinedView,
  keyColumns,
  named,
  type OutputColumn,
  partition,
  sourceHas,
  tieBreakers,
  wholeEntityRows,
} from './point-in-time-join.js'
import { inOwnTimes } from './source-rows.js'
import type { SqlDialect, TimeBounds } from './sql-dialect.js'

/** One statement of a warehouse: a row per entity row, in any order. */
export interface WarehouseStatement {
  readonly sql: string
  /** Positions of its columns in the whole result. With {@link ORDINAL} before them they are the statement's. */
  readonly outputs: readonly number[]
}

/** The entity row that a row belongs to, counted from 1. */
export const ORDINAL = '__feast_row'

export interface StatementParts {
  /** A query that gives `r`, `t`, `e0`, …, see {@link ENTITY_ROWS}. */
  readonly entityRows: string
  readonly views: readonly JoinedView[]
  /** Columns of the entity rows first. */
  readonly output: readonly OutputColumn[]
  readonly span: TimeBounds
  /** Of the entity rows; undefined: not known yet. */
  readonly count?: number | undefined
}

/**
 * The point-in-time join for engines that charge for what they read: each view's source stands in one place of one
 * statement. Views go together as long as a statement has no more than `maxBytes` of UTF-8; the others follow in
 * statements of their own. @throws INVALID_REQUEST when one view alone is too long
 */
export function joinStatements(
  parts: StatementParts,
  dialect: SqlDialect,
  maxBytes = Number.POSITIVE_INFINITY,
): readonly WarehouseStatement[] {
  const outputs = parts.output.map((column, index) => ({ index, view: viewOf(column) }))
  const statement = (views: readonly number[], withEntity: boolean): WarehouseStatement => {
    const wanted = outputs.filter(({ view }) => (view === undefined ? withEntity : views.includes(view)))
    return {
      sql: joinStatement(
        parts,
        views,
        wanted.map(({ index }) => parts.output[index]!),
        dialect,
      ),
      outputs: wanted.map(({ index }) => index),
    }
  }
  const statements: WarehouseStatement[] = []
  let views: readonly number[] = []
  let fitting = statement([], true)
  for (const [index, view] of parts.views.entries()) {
    const longer = statement([...views, index], statements.length === 0)
    if (fits(longer, maxBytes)) {
      views = [...views, index]
      fitting = longer
      continue
    }
    if (views.length > 0) statements.push(fitting)
    views = [index]
    fitting = statement(views, statements.length === 0)
    if (!fits(fitting, maxBytes)) throw tooLong(fitting, view, maxBytes)
  }
  return [...statements, fitting]
}

function viewOf({ expression }: OutputColumn): number | undefined {
  const view = /^v(\d+)\.f\d+$/.exec(expression)?.[1]
  return view === undefined ? undefined : Number(view)
}

function fits({ sql }: WarehouseStatement, maxBytes: number): boolean {
  return Buffer.byteLength(sql) <= maxBytes
}

function tooLong({ sql }: WarehouseStatement, { source }: JoinedView, maxBytes: number) {
  return feastError('INVALID_REQUEST', {
    message: `The statement for ${source.from} alone has ${Buffer.byteLength(sql)} bytes and may have ${maxBytes}; ask for fewer features at a time, or make its query a view of the database.`,
  })
}

function joinStatement(
  parts: StatementParts,
  used: readonly number[],
  output: readonly OutputColumn[],
  dialect: SqlDialect,
): string {
  const { entityRows, views } = parts
  const columns = [
    `e.r AS ${dialect.name(ORDINAL)}`,
    ...output.map(({ expression, name }) => `${expression} AS ${dialect.name(name)}`),
  ]
  const named = [
    `${ENTITY_ROWS} AS (\n${entityRows}\n)`,
    ...used.map((index) => `w${index} AS (\n${winners(views[index]!, parts, dialect)}\n)`),
  ]
  const joins = used.map((index) => `LEFT JOIN w${index} AS v${index} ON v${index}.r = e.r`)
  return [
    `WITH ${named.join(',\n')}`,
    `SELECT ${columns.join(', ')}`,
    `FROM ${ENTITY_ROWS} AS e`,
    ...joins,
  ].join('\n')
}

interface Run {
  /** Its source with the engine's own times where there are any; else times are microseconds. */
  readonly view: JoinedView
  readonly parts: Pick<StatementParts, 'span' | 'count'>
  readonly times: {
    /** From microseconds. */
    of(micros: string): string
    /** To microseconds. */
    micros(value: string): string
  }
}

function runOf(view: JoinedView, parts: StatementParts, dialect: SqlDialect): Run {
  const source = inOwnTimes(view.source)
  const type = dialect.typeFor(UnixTimestamp)
  const times = source.own
    ? { of: dialect.timestamp, micros: (value: string) => dialect.micros(value, type)! }
    : { of: (micros: string) => micros, micros: (value: string) => value }
  return { view: { ...view, source }, parts, times }
}

/**
 * Per entity row `r` the features `f0`, `f1`, … of the row that R3–R8 pick: source and entity rows in one run per
 * key, in the order of time, whole source rows carried along to the entity rows that come after them. Among rows of
 * one time the best by R5 comes last, and entity rows come after all of them.
 */
function winners(view: JoinedView, parts: StatementParts, dialect: SqlDialect): string {
  const run = runOf(view, parts, dialect)
  const { micros } = run.times
  const carried = view.fromCreated ? carriedFromCreated(run) : carriedByTime(run)
  const fresh =
    view.ttlMicros > 0n
      ? `${micros('hit[1]')} >= ${micros('since')} - ${view.ttlMicros}`
      : 'hit[1] IS NOT NULL'
  const features = view.source.features.map((_, index) => `hit[${index + 2}] AS f${index}`)
  return `SELECT ${['r', ...features].join(', ')} FROM (\n${carried}\n) AS carried WHERE r IS NOT NULL AND ${fresh}`
}

function carriedByTime(run: Run): string {
  const { view } = run
  const ties = tieColumns(view)
  const order = ['since', 'r NULLS FIRST', ...ties.map(ascending)].join(', ')
  const none = ties.map((column) => `NULL AS ${column}`)
  return [
    `SELECT r, since, last_value(hit) IGNORE NULLS OVER (${partition(keyColumns(view))}ORDER BY ${order} ${SO_FAR}) AS hit`,
    `FROM (\n${sourceRun(run)}\nUNION ALL\n${entityRun(run, none)}\n) AS run`,
  ].join('\n')
}

/**
 * R8: a row counts once both its times have passed. Rows are given their place by R5 first; then the greatest place so
 * far, in the order in which rows begin to count, is the winner's.
 */
function carriedFromCreated(run: Run): string {
  const { view } = run
  const keys = keyColumns(view)
  const order = ['hit[1]', ...tieColumns(view).map(ascending)].join(', ')
  const placed = [
    `SELECT ${['r', ...keys, 'since', 'hit'].join(', ')}, row_number() OVER (${partition(keys)}ORDER BY ${order}) AS place`,
    `FROM (\n${sourceRun(run)}\n) AS source_rows`,
  ].join('\n')
  const rows = `${placed}\nUNION ALL\n${entityRun(run, ['NULL AS place'])}`
  return [
    `SELECT r, since, max_by(hit, place) OVER (${partition(keys)}ORDER BY since, r NULLS FIRST ${SO_FAR}) AS hit`,
    `FROM (\n${rows}\n) AS run`,
  ].join('\n')
}

const SO_FAR = 'ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW'

/** Source rows that some entity row of their key can reach. `since`: from when on a row can win. */
function sourceRun(run: Run): string {
  const { view, parts } = run
  const { source } = view
  const since = view.fromCreated ? `greatest(${source.time}, ${source.created})` : source.time
  const columns = [
    'CAST(NULL AS BIGINT) AS r',
    ...named(source.keys.map(({ value }) => value)),
    `${since} AS since`,
    `ROW(${[source.time, ...source.features.map(({ value }) => value)].join(', ')}) AS hit`,
    ...tieBreakers(source).map((expression, index) => `${expression} AS o${index}`),
  ]
  return [
    `SELECT ${columns.join(', ')} FROM ${source.from}`,
    ...wantedRows(run),
    `WHERE ${conditions(view, parts.span).join(' AND ')}`,
  ].join('\n')
}

/** Most source rows are out of the entity rows' reach and need no sorting. */
function wantedRows(run: Run): readonly string[] {
  const { view, times } = run
  const keys = keyColumns(view)
  if (keys.length === 0) return []
  const back = daysBack(run)
  if (back !== undefined) return wantedDays(run, back)
  const columns = [
    ...named(view.entityKeys),
    `${times.of(`min(e.t) - ${view.ttlMicros}`)} AS first_t`,
    `${times.of('max(e.t)')} AS last_t`,
  ]
  const groups = keys.map((_, index) => index + 1).join(', ')
  const { time } = view.source
  const oldest = view.ttlMicros > 0n ? [`${time} >= w.first_t`] : []
  const on = [sourceHas(view), `${time} <= w.last_t`, ...oldest]
  return [
    `JOIN (SELECT ${columns.join(', ')} ${wholeEntityRows(view)} GROUP BY ${groups}) AS w`,
    `ON ${on.join(' AND ')}`,
  ]
}

const DAY_MICROS = 86_400_000_000n
/** Days that an entity row may reach back for them to be listed, and days listed in all. */
const MOST_DAYS_BACK = 14
const MOST_LISTED = 4_000_000

/**
 * How many days back a row can be reached, where the days that are in reach of each key are few enough to be listed, and
 * few of the days there are.
 */
function daysBack({ view, parts: { span, count } }: Run): number | undefined {
  const { ttlMicros, source } = view
  if (ttlMicros === 0n || source.own === undefined || count === undefined) return undefined
  if (span.start === undefined || span.end === undefined) return undefined
  const back = Number((ttlMicros + DAY_MICROS - 1n) / DAY_MICROS)
  const days = Number((span.end - span.start) / DAY_MICROS) + back
  const isWorthIt = back <= MOST_DAYS_BACK && days > 2 * (back + 1) && count * (back + 1) <= MOST_LISTED
  return isWorthIt ? back : undefined
}

function wantedDays({ view, times }: Run, back: number): readonly string[] {
  const keys = keyColumns(view)
  const reached = [...named(view.entityKeys), `${dayOf(times.of('e.t'))} AS d`]
  const numbers = Array.from({ length: back + 1 }, (_, days) => days).join(', ')
  const listed = [
    `SELECT DISTINCT ${[...keys, 'd - n AS d'].join(', ')}`,
    `FROM (SELECT ${reached.join(', ')} ${wholeEntityRows(view)}) AS e CROSS JOIN (VALUES ${numbers}) AS back (n)`,
  ].join(' ')
  return [`JOIN (${listed}) AS w`, `ON ${sourceHas(view)} AND ${dayOf(view.source.time)} = w.d`]
}

function dayOf(time: string): string {
  return `date_diff('day', DATE '1970-01-01', CAST(${time} AS DATE))`
}

function entityRun({ view, times }: Run, more: readonly string[]): string {
  const columns = ['e.r', ...named(view.entityKeys), `${times.of('e.t')} AS since`, 'NULL AS hit', ...more]
  return `SELECT ${columns.join(', ')} ${wholeEntityRows(view)}`
}

function tieColumns(view: JoinedView): readonly string[] {
  return tieBreakers(view.source).map((_, index) => `o${index}`)
}

function ascending(column: string): string {
  return `${column} ASC NULLS FIRST`
}
