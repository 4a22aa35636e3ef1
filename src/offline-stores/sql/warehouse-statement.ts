import { feastError } from '../../core/errors.js'
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
  { entityRows, views, span }: StatementParts,
  used: readonly number[],
  output: readonly OutputColumn[],
  dialect: SqlDialect,
): string {
  const columns = [
    `e.r AS ${dialect.name(ORDINAL)}`,
    ...output.map(({ expression, name }) => `${expression} AS ${dialect.name(name)}`),
  ]
  const named = [
    `${ENTITY_ROWS} AS (\n${entityRows}\n)`,
    ...used.map((index) => `w${index} AS (\n${winners(views[index]!, span)}\n)`),
  ]
  const joins = used.map((index) => `LEFT JOIN w${index} AS v${index} ON v${index}.r = e.r`)
  return [
    `WITH ${named.join(',\n')}`,
    `SELECT ${columns.join(', ')}`,
    `FROM ${ENTITY_ROWS} AS e`,
    ...joins,
  ].join('\n')
}

/**
 * Per entity row `r` the features `f0`, `f1`, … of the row that R3–R8 pick: source and entity rows in one run per
 * key, in the order of time, whole source rows carried along to the entity rows that come after them. Among rows of
 * one time the best by R5 comes last, and entity rows come after all of them.
 */
function winners(view: JoinedView, span: TimeBounds): string {
  const carried = view.fromCreated ? carriedFromCreated(view, span) : carriedByTime(view, span)
  const fresh = view.ttlMicros > 0n ? `hit[1] >= since - ${view.ttlMicros}` : 'hit[1] IS NOT NULL'
  const features = view.source.features.map((_, index) => `hit[${index + 2}] AS f${index}`)
  return `SELECT ${['r', ...features].join(', ')} FROM (\n${carried}\n) AS carried WHERE r IS NOT NULL AND ${fresh}`
}

function carriedByTime(view: JoinedView, span: TimeBounds): string {
  const order = ['since', 'r NULLS FIRST', ...tieColumns(view).map(ascending)].join(', ')
  const ties = tieColumns(view).map((column) => `NULL AS ${column}`)
  const rows = `${sourceRun(view, span)}\nUNION ALL\n${entityRun(view, ties)}`
  return [
    `SELECT r, since, last_value(hit) IGNORE NULLS OVER (${partition(keyColumns(view))}ORDER BY ${order} ${SO_FAR}) AS hit`,
    `FROM (\n${rows}\n) AS run`,
  ].join('\n')
}

/**
 * R8: a row counts once both its times have passed. Rows are given their place by R5 first; then the greatest place so
 * far, in the order in which rows begin to count, is the winner's.
 */
function carriedFromCreated(view: JoinedView, span: TimeBounds): string {
  const keys = keyColumns(view)
  const order = ['hit[1]', ...tieColumns(view).map(ascending)].join(', ')
  const placed = [
    `SELECT ${['r', ...keys, 'since', 'hit'].join(', ')}, row_number() OVER (${partition(keys)}ORDER BY ${order}) AS place`,
    `FROM (\n${sourceRun(view, span)}\n) AS source_rows`,
  ].join('\n')
  const rows = `${placed}\nUNION ALL\n${entityRun(view, ['NULL AS place'])}`
  return [
    `SELECT r, since, max_by(hit, place) OVER (${partition(keys)}ORDER BY since, r NULLS FIRST ${SO_FAR}) AS hit`,
    `FROM (\n${rows}\n) AS run`,
  ].join('\n')
}

const SO_FAR = 'ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW'

/** Source rows that some entity row of their key can reach. `since`: from when on a row can win. */
function sourceRun(view: JoinedView, span: TimeBounds): string {
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
    ...wantedRows(view),
    `WHERE ${conditions(view, span).join(' AND ')}`,
  ].join('\n')
}

/** Where a key has few entity rows, most of its source rows are out of their reach and need no sorting. */
function wantedRows(view: JoinedView): readonly string[] {
  const keys = keyColumns(view)
  if (keys.length === 0) return []
  const columns = [...named(view.entityKeys), 'min(e.t) AS first_t', 'max(e.t) AS last_t']
  const groups = keys.map((_, index) => index + 1).join(', ')
  const oldest = view.ttlMicros > 0n ? [`${view.source.time} >= w.first_t - ${view.ttlMicros}`] : []
  const on = [sourceHas(view), `${view.source.time} <= w.last_t`, ...oldest]
  return [
    `JOIN (SELECT ${columns.join(', ')} ${wholeEntityRows(view)} GROUP BY ${groups}) AS w`,
    `ON ${on.join(' AND ')}`,
  ]
}

function entityRun(view: JoinedView, more: readonly string[]): string {
  const columns = ['e.r', ...named(view.entityKeys), 'e.t AS since', 'NULL AS hit', ...more]
  return `SELECT ${columns.join(', ')} ${wholeEntityRows(view)}`
}

function tieColumns(view: JoinedView): readonly string[] {
  return tieBreakers(view.source).map((_, index) => `o${index}`)
}

function ascending(column: string): string {
  return `${column} ASC NULLS FIRST`
}
