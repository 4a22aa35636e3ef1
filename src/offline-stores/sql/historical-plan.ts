import { feastError } from '../../core/errors.js'
import { type Field, field } from '../../core/field.js'
import { type FeastType, StringType, UnixTimestamp } from '../../core/value-type.js'
import type { HistoricalQuery, HistoricalView } from '../offline-store.js'
import { ENTITY_ROWS, type JoinedView, type OutputColumn } from './point-in-time-join.js'
import { DEFAULT_TIME_COLUMN, rangeRows } from './range-rows.js'
import { columnNamed, partitionsOf, type SourceRows, sourceRows } from './source-rows.js'
import type { SqlDialect } from './sql-dialect.js'
import type { DeclaredTypes, SqlEngine, SqlRelation } from './sql-engine.js'
import { feastTypeOf, isTimestamp, keyClassOf, type SqlColumn } from './sql-type.js'

/** A historical query with every column found and checked, before any row is read. */
export interface HistoricalPlan {
  readonly fields: readonly Field[]
  readonly entity: EntityRelation
  readonly views: readonly JoinedView[]
  readonly output: readonly OutputColumn[]
  /** Gives {@link ENTITY_ROWS} from the relation that holds the entity rows as given. */
  stage(relation: string): string
  /** The result's columns without reading any source: for zero entity rows. */
  readonly empty: string
}

/** The entity rows as given. */
export interface EntityRelation {
  /** Where they are; undefined when they are yet to be loaded. */
  readonly sql: string | undefined
  readonly columns: readonly SqlColumn[]
  readonly timeColumn: SqlColumn
}

/** What a plan asks of an engine. */
export type PlanningEngine = { readonly dialect: SqlDialect } & Pick<
  SqlEngine,
  'sourceRelation' | 'entityRelation'
>

/** @throws ENTITY_COLUMN_MISSING, REQUEST_DATA_MISSING, ENTITY_TIME_COLUMN, COLUMN_TYPE_MISMATCH, COLUMN_CLASH, SOURCE_COLUMN_MISSING, … */
export async function historicalPlan(
  query: HistoricalQuery,
  engine: PlanningEngine,
): Promise<HistoricalPlan> {
  const { dialect } = engine
  const sources = await Promise.all(query.views.map((view) => viewSource(view, engine)))
  const entity = await entityRelation(query, sources, engine)
  const timeColumn = entityTimeColumn(query.eventTimestampColumn, entity.columns)
  checkColumns(query, entity.columns)
  const views = query.views.map((view, index) =>
    joinedView(view, sources[index]!.rows, entity.columns, query, dialect),
  )
  const output = [
    ...entity.columns.map((column, index) => entityOutput(column, index, column === timeColumn, dialect)),
    ...query.views.flatMap((view, index) => featureOutputs(view, index, sources[index]!)),
  ]
  return {
    fields: output.map((column) => field(column.name, column.type)),
    entity: { sql: entity.sql, columns: entity.columns, timeColumn },
    views,
    output,
    stage: (relation) => stage(relation, timeColumn, entity, dialect),
    empty: emptySelect(output, dialect),
  }
}

interface ViewSource {
  readonly rows: SourceRows
  readonly relation: SqlRelation
}

async function viewSource(view: HistoricalView, engine: PlanningEngine): Promise<ViewSource> {
  const declared = new Map(
    [...view.joinKeys, ...view.features].map(({ column, type }): [string, FeastType] => [column, type]),
  )
  const relation = await engine.sourceRelation(view.source, declared)
  const shape = {
    source: view.source.name,
    view: view.name,
    timestampColumn: view.timestampColumn,
    createdColumn: view.createdColumn,
    ...partitionsOf(view.source),
    keys: view.joinKeys.map(({ column }) => column),
    features: view.features,
  }
  return { rows: sourceRows(shape, relation, engine.dialect), relation }
}

type GivenRows = Pick<SqlRelation, 'columns' | 'order'> & { readonly sql: string | undefined }

async function entityRelation(
  query: HistoricalQuery,
  sources: readonly ViewSource[],
  engine: PlanningEngine,
): Promise<GivenRows> {
  const rows = query.entityRows
  if (rows.kind === 'range') {
    const parts = query.views.map((view, index) => ({ view, rows: sources[index]!.rows }))
    return rangeRows(rows, parts, engine.dialect)
  }
  if (rows.kind === 'batches') {
    const columns = rows.fields.map(({ name, type }, index) => ({
      name,
      ref: `c${index}`,
      type: engine.dialect.typeFor(type),
    }))
    return { sql: undefined, columns }
  }
  return engine.entityRelation(rows, declaredKeys(query.views))
}

function declaredKeys(views: readonly HistoricalView[]): DeclaredTypes {
  return new Map(
    views.flatMap((view) =>
      view.joinKeys.map(({ entityColumn, type }): [string, FeastType] => [entityColumn, type]),
    ),
  )
}

function entityTimeColumn(given: string | undefined, columns: readonly SqlColumn[]): SqlColumn {
  const fail = (message: string) => feastError('ENTITY_TIME_COLUMN', { message })
  const names = columns.map(({ name }) => `"${name}"`).join(', ')
  const column = columns.find(({ name }) => name === (given ?? DEFAULT_TIME_COLUMN))
  if (column) {
    if (column.type.kind === 'date' || column.type.kind === 'text' || isTimestamp(column.type)) return column
    throw fail(
      `Entity column "${column.name}" holds the event time but is ${column.type.text}; make it a timestamp.`,
    )
  }
  if (given !== undefined)
    throw fail(`The entity rows have no column "${given}" for the event time; they have ${names}.`)
  const times = columns.filter(({ type }) => isTimestamp(type))
  if (times.length === 1) return times[0]!
  throw fail(
    times.length === 0
      ? `The entity rows have no timestamp column; add one named "${DEFAULT_TIME_COLUMN}". They have ${names}.`
      : `The entity rows have several timestamp columns (${times.map(({ name }) => `"${name}"`).join(', ')}); name one "${DEFAULT_TIME_COLUMN}", or say which holds the event time.`,
  )
}

function checkColumns(query: HistoricalQuery, columns: readonly SqlColumn[]): void {
  const given = columns.map(({ name }) => name)
  for (const { name: view, joinKeys } of query.views) {
    const missing = joinKeys.map((key) => key.entityColumn).filter((name) => !given.includes(name))
    if (missing.length > 0) throw feastError('ENTITY_COLUMN_MISSING', { columns: missing, given, view })
  }
  const absent = query.requiredColumns.filter(({ name }) => !given.includes(name))
  if (absent.length > 0) {
    const names = absent.filter(({ view }) => view === absent[0]!.view).map(({ name }) => name)
    throw feastError('REQUEST_DATA_MISSING', { names, view: absent[0]!.view })
  }
  const seen = new Map<string, string>()
  for (const view of query.views) {
    for (const { output, column } of view.features) {
      const ref = `${view.name}:${column}`
      if (given.includes(output)) throw feastError('COLUMN_CLASH', { column: output, feature: ref })
      const other = seen.get(output)
      if (other !== undefined)
        throw feastError('FEATURE_NAME_COLLISION', { names: [other, ref], full: false })
      seen.set(output, ref)
    }
  }
}

function joinedView(
  view: HistoricalView,
  source: SourceRows,
  columns: readonly SqlColumn[],
  query: HistoricalQuery,
  dialect: SqlDialect,
): JoinedView {
  const entityKeys = view.joinKeys.map(({ entityColumn }, index) => {
    const position = columns.findIndex(({ name }) => name === entityColumn)
    const column = columns[position]!
    checkKey(view, column, source.keys[index]!.column)
    return dialect.key(`e.e${position}`, column.type)
  })
  return {
    source,
    entityKeys,
    ttlMicros: BigInt(Math.round(view.ttlSeconds * 1e6)),
    fromCreated: query.filterByCreatedTimestamp && view.createdColumn !== undefined,
  }
}

/** P12: integers of any width and texts of any kind compare by value; nothing is cast across. */
function checkKey(view: HistoricalView, entity: SqlColumn, source: SqlColumn): void {
  if (entity.type.kind === 'null') return
  const keyClass = keyClassOf(source.type)
  if (keyClass !== undefined && keyClassOf(entity.type) === keyClass) return
  const wrong = keyClass === undefined ? source : entity
  throw feastError('COLUMN_TYPE_MISMATCH', {
    column: wrong.name,
    type: wrong.type.text,
    expected:
      keyClass === undefined ? 'an integer, text, bytes, boolean or time for a join key' : source.type.text,
    where:
      keyClass === undefined
        ? `data source "${view.source.name}"`
        : `the entity rows (join key "${source.name}" of feature view "${view.name}")`,
  })
}

interface Output extends OutputColumn {
  readonly type: FeastType
  /** Engine type, for results without rows. */
  readonly sqlType: string
}

function entityOutput(column: SqlColumn, index: number, isTime: boolean, dialect: SqlDialect): Output {
  if (isTime) {
    const sqlType = dialect.typeFor(UnixTimestamp).text
    return { name: column.name, expression: dialect.instant('e.t'), type: UnixTimestamp, sqlType }
  }
  const known = feastTypeOf(column.type)
  const type = known.valueType === 'INVALID' ? StringType : known
  return { name: column.name, expression: `e.e${index}`, type, sqlType: column.type.text }
}

function featureOutputs(view: HistoricalView, index: number, { relation }: ViewSource): readonly Output[] {
  return view.features.map(({ column, output, type: declared }, position) => {
    const stored = columnNamed(column, relation)!.type
    const type = declared.valueType === 'INVALID' ? feastTypeOf(stored) : declared
    return { name: output, expression: `v${index}.f${position}`, type, sqlType: stored.text }
  })
}

function stage(
  relation: string,
  timeColumn: SqlColumn,
  { columns, order }: GivenRows,
  dialect: SqlDialect,
): string {
  const time = timeColumn.micros ?? dialect.micros(timeColumn.ref, timeColumn.type)!
  const place = `row_number() OVER (${order ? `ORDER BY ${order.join(', ')}` : ''}) AS r`
  const kept = columns.map(({ ref }, index) => `${ref} AS e${index}`)
  return `SELECT ${[place, `${time} AS t`, ...kept].join(', ')}\nFROM ${relation}`
}

function emptySelect(output: readonly Output[], dialect: SqlDialect): string {
  const columns = output.map(({ name, type, sqlType }) => {
    const text = type.valueType === 'INVALID' ? sqlType : dialect.typeFor(type).text
    return `CAST(NULL AS ${text}) AS ${dialect.name(name)}`
  })
  return `SELECT ${columns.join(', ')} FROM ${ENTITY_ROWS} WHERE false`
}
