import type { AwsSettings } from '../../core/aws-settings.js'
import type { ColumnBatch } from '../../core/cell.js'
import type { BatchSource } from '../../core/data-source.js'
import { type Field, field } from '../../core/field.js'
import { type FeastType, Int64 } from '../../core/value-type.js'
import { readRows, writeBatches } from '../index.js'
import type {
  EntityRows,
  HistoricalQuery,
  OfflineStore,
  PersistOptions,
  PullJob,
  PullQuery,
  RetrievalJob,
} from '../offline-store.js'
import { StagedFiles } from '../staged-files.js'
import { type HistoricalPlan, historicalPlan } from './historical-plan.js'
import { type FillTable, keepTable, keptDialect, keptRows } from './kept-table.js'
import { allRows, expectedRows, latestRowsInOneScan, skippedRows } from './latest-rows.js'
import { pulledRows } from './pulled-rows.js'
import { dryRunOf, refuseWideScans, type SourceRead, Spending } from './scan-cost.js'
import { sideBySide } from './side-by-side.js'
import type { SqlDialect, TimeBounds } from './sql-dialect.js'
import { feastTypeOf } from './sql-type.js'
import type { SqlWarehouse, WarehouseSession } from './sql-warehouse.js'
import { stagedColumns } from './staged-columns.js'
import { type PlacedRows, placeBatches, placeQuery } from './warehouse-entity-rows.js'
import { joinStatements, ORDINAL, type WarehouseStatement } from './warehouse-statement.js'

/** An offline store of any warehouse. @param aws for files at `s3:` URIs */
export function warehouseOfflineStore(warehouse: SqlWarehouse, aws?: AwsSettings): OfflineStore {
  const staged = new StagedFiles(aws)
  return {
    describe: (source) => describe(warehouse, source),
    getHistoricalFeatures: (query) => historicalJob(warehouse, query),
    pull: (query) => pullJob(warehouse, query, staged),
    write: (source, batches) => warehouse.append(source, batches),
    save(target, fields, batches, options = {}) {
      const columns = stagedColumns(fields, warehouse.dialect)
      const fill: FillTable = (session, table) => session.keepRows(table, columns, batches)
      return keepTable(warehouse, target, fields, fill, { ...options, spent: new Spending() })
    },
    stagingLocation: warehouse.stagingLocation,
    readStaged: (file, fields, options) =>
      staged.read(file, fields, {
        ...options,
        ...(warehouse.unloadedNames && { names: warehouse.unloadedNames(fields) }),
      }),
    dropStaged: (prefix) => staged.drop(prefix),
    async close() {
      await warehouse.close()
      await staged.close()
    },
  }
}

async function describe(warehouse: SqlWarehouse, source: BatchSource): Promise<readonly Field[]> {
  const { columns } = await warehouse.sourceRelation(source)
  return columns.map(({ name, type }) => field(name, feastTypeOf(type)))
}

function historicalJob(warehouse: SqlWarehouse, query: HistoricalQuery): RetrievalJob {
  const prepared = once(() => preparedJoin(warehouse, query, warehouse.dialect))
  const spent = new Spending()
  /** Over entity rows that the session holds from now on; none when there are no entity rows. */
  const statements = async (
    { plan, given }: PreparedJoin,
    session: WarehouseSession,
    signal: AbortSignal | undefined,
  ) => {
    const rows = given(signal)
    const placed = rows
      ? await placeBatches(rows, plan, session, warehouse.dialect)
      : await placeQuery(plan, session, warehouse.dialect)
    if (placed.count === 0) return []
    await refuseWideScans(warehouse, joinReads(query, placed.span))
    return statementsOf(warehouse, plan, placed)
  }
  return {
    cost: () => spent.total,
    ...dryRunOf(warehouse, async () => {
      const { plan, given } = await prepared()
      const { sql, span } = await placedForShow(query, plan, given, warehouse.dialect)
      return {
        statements: statementsOf(warehouse, plan, { sql, span }).map((statement) => statement.sql),
        reads: joinReads(query, span),
      }
    }),
    ...job(warehouse, spent, {
      fields: async () => (await prepared()).plan.fields,
      sql: async () => statementText(warehouse, (await prepared()).plan),
      async *rows(signal) {
        const join = await prepared()
        const session = await warehouse.open(signal)
        try {
          const parts = await statements(join, session, signal)
          if (parts.length > 0) yield* joined(parts, join.plan.fields, session)
        } finally {
          spent.add(session.cost)
          await session.close()
        }
      },
      async toKeep() {
        const dialect = keptDialect(warehouse.dialect)
        const join = await preparedJoin(warehouse, query, dialect)
        const { fields } = join.plan
        return {
          fields,
          async fill(session, table, signal) {
            const parts = await statements(join, session, signal)
            const [part] = parts
            if (part && parts.length === 1)
              return session.keepQuery(table, keptRows(part.sql, fields, dialect, 1))
            const rows = part ? joined(parts, fields, session) : nothing()
            return session.keepRows(table, stagedColumns(fields, dialect), rows)
          },
        }
      },
    }),
  }
}

/** What views read for entity rows of a span. */
function joinReads({ views }: HistoricalQuery, span: TimeBounds): readonly SourceRead[] {
  return views.map(({ source, ttlSeconds }) => ({
    source,
    bounds: {
      start:
        ttlSeconds > 0 && span.start !== undefined
          ? span.start - BigInt(Math.round(ttlSeconds * 1e6))
          : undefined,
      end: span.end,
    },
  }))
}

/** Entity rows that this process can read are placed as they would be; nothing is run for others. */
async function placedForShow(
  { entityRows }: HistoricalQuery,
  plan: HistoricalPlan,
  given: PreparedJoin['given'],
  dialect: SqlDialect,
): Promise<Pick<PlacedRows, 'sql' | 'span'>> {
  if (entityRows.kind === 'file') return placeBatches(given(undefined)!, plan, NO_SESSION, dialect)
  const span = entityRows.kind === 'range' ? entityRows : { start: undefined, end: undefined }
  return { sql: plan.stage(plan.entity.sql ?? 'given_rows'), span }
}

const NO_SESSION = {
  async stageRows(_: unknown, batches: AsyncIterable<ColumnBatch>) {
    for await (const _ of batches);
    return 'staged_rows'
  },
}

type Batches = Extract<EntityRows, { kind: 'batches' }>

interface PreparedJoin {
  readonly plan: HistoricalPlan
  /** Entity rows that this process holds or reads; undefined when the warehouse makes them itself. */
  given(signal: AbortSignal | undefined): Batches | undefined
}

type EntitySql = Extract<EntityRows, { kind: 'sql' }>

async function preparedJoin(
  warehouse: SqlWarehouse,
  query: HistoricalQuery,
  dialect: SqlDialect,
): Promise<PreparedJoin> {
  const { entityRows } = query
  const engine = {
    dialect,
    sourceRelation: (source: BatchSource) => warehouse.sourceRelation(source),
    entityRelation: (rows: EntityRows) => warehouse.queryRelation((rows as EntitySql).sql),
  }
  if (entityRows.kind !== 'file') {
    const given = entityRows.kind === 'batches' ? entityRows : undefined
    return { plan: await historicalPlan(query, engine), given: () => given }
  }
  const file = await readRows(entityRows.path, entityRows.format, declaredKeys(query))
  const given = (signal?: AbortSignal): Batches => ({
    kind: 'batches',
    fields: file.fields,
    batches: file.batches(signal),
  })
  return { plan: await historicalPlan({ ...query, entityRows: given() }, engine), given }
}

function declaredKeys({ views }: HistoricalQuery): ReadonlyMap<string, FeastType> {
  return new Map(
    views.flatMap(({ joinKeys }) =>
      joinKeys.map(({ entityColumn, type }): [string, FeastType] => [entityColumn, type]),
    ),
  )
}

function statementsOf(
  { dialect, maxStatementBytes }: SqlWarehouse,
  { views, output }: HistoricalPlan,
  { sql, span, count }: Pick<PlacedRows, 'sql' | 'span'> & Partial<PlacedRows>,
): readonly WarehouseStatement[] {
  return joinStatements({ entityRows: sql, views, output, span, count }, dialect, maxStatementBytes)
}

function joined(
  statements: readonly WarehouseStatement[],
  fields: readonly Field[],
  session: WarehouseSession,
): AsyncIterable<ColumnBatch> {
  const parts = statements.map(({ sql, outputs }) => ({
    positions: [undefined, ...outputs],
    batches: session.stream({
      sql,
      fields: [field(ORDINAL, Int64), ...outputs.map((position) => fields[position]!)],
      orderBy: ORDINAL,
    }),
  }))
  return sideBySide(fields, parts)
}

function statementText(warehouse: SqlWarehouse, plan: HistoricalPlan): string {
  const given = {
    sql: plan.stage(plan.entity.sql ?? 'given_rows'),
    span: { start: undefined, end: undefined },
  }
  return statementsOf(warehouse, plan, given)
    .map(({ sql }) => sql)
    .join(';\n')
}

function pullJob(warehouse: SqlWarehouse, query: PullQuery, staged: StagedFiles): PullJob {
  const prepare = async (dialect: SqlDialect) => {
    const sourceRelation = (source: BatchSource) => warehouse.sourceRelation(source)
    const { rows, fields } = await pulledRows({ dialect, sourceRelation }, query)
    const statement = query.latest ? latestRowsInOneScan : allRows
    return { rows, fields, sql: statement(rows, dialect) }
  }
  const prepared = once(() => prepare(warehouse.dialect))
  const spent = new Spending()
  const reads = [{ source: query.source, bounds: { start: query.start, end: query.end } }]
  const counted = async (count: typeof skippedRows, signal: AbortSignal | undefined) => {
    const { rows } = await prepared()
    const session = await warehouse.open(signal)
    try {
      return Number((await session.numbers(count(rows)))[0])
    } finally {
      spent.add(session.cost)
      await session.close()
    }
  }
  async function* rows(signal?: AbortSignal): AsyncGenerator<ColumnBatch> {
    const { sql, fields } = await prepared()
    await refuseWideScans(warehouse, reads)
    const session = await warehouse.open(signal)
    try {
      yield* session.stream({ sql, fields })
    } finally {
      spent.add(session.cost)
      await session.close()
    }
  }
  const base = job(warehouse, spent, {
    fields: async () => (await prepared()).fields,
    sql: async () => (await prepared()).sql,
    rows,
    async toKeep() {
      const dialect = keptDialect(warehouse.dialect)
      const { sql, fields } = await prepare(dialect)
      await refuseWideScans(warehouse, reads)
      const fill: FillTable = (session, table) => session.keepQuery(table, keptRows(sql, fields, dialect))
      return { fields, fill }
    },
  })
  return {
    ...base,
    cost: () => spent.total,
    ...dryRunOf(warehouse, async () => ({ statements: [(await prepared()).sql], reads })),
    async stage(prefix, options) {
      const { sql, fields } = await prepared()
      await refuseWideScans(warehouse, reads)
      if (warehouse.unload)
        return { fields, skipped: undefined, ...(await warehouse.unload(sql, fields, prefix, options)) }
      await staged.drop(prefix)
      const copy = (path: string) => base.persist(path, options.signal ? { signal: options.signal } : {})
      const file = await staged.put(`${prefix}00000.parquet`, copy, options.signal)
      const skipped = await counted(skippedRows, options.signal)
      return { fields, files: file === undefined ? [] : [file], cost: undefined, skipped }
    },
    skippedRows: (signal) => counted(skippedRows, signal),
    expectedRows: (signal) => counted(expectedRows, signal),
  }
}

interface Rows {
  fields(): Promise<readonly Field[]>
  sql(): Promise<string>
  rows(signal?: AbortSignal): AsyncIterable<ColumnBatch>
  toKeep(): Promise<{ readonly fields: readonly Field[]; readonly fill: FillTable }>
}

function job(warehouse: SqlWarehouse, spent: Spending, { fields, sql, rows, toKeep }: Rows): RetrievalJob {
  return {
    fields,
    sql,
    batches: rows,
    async persist(target: string | BatchSource, options: PersistOptions = {}) {
      const { signal } = options
      if (typeof target === 'string') return writeBatches(target, await fields(), rows(signal), options)
      const kept = await toKeep()
      return keepTable(warehouse, target, kept.fields, kept.fill, { ...options, spent })
    },
  }
}

async function* nothing(): AsyncGenerator<never> {}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
