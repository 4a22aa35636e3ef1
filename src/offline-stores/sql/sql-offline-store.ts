import type { AwsSettings } from '../../core/aws-settings.js'
import type { ColumnBatch } from '../../core/cell.js'
import type { BatchSource } from '../../core/data-source.js'
import { type Field, field } from '../../core/field.js'
import { replaceFile } from '../file-format.js'
import { writeBatches } from '../index.js'
import type {
  HistoricalQuery,
  OfflineStore,
  PersistOptions,
  PullJob,
  PullQuery,
  RetrievalJob,
  StagedFile,
  StageOptions,
} from '../offline-store.js'
import { StagedFiles } from '../staged-files.js'
import { type HistoricalPlan, historicalPlan } from './historical-plan.js'
import {
  allRows,
  expectedRows,
  latestRows,
  latestSteps,
  NEWEST,
  type PulledRows,
  skippedRows,
  windowRows,
} from './latest-rows.js'
import { ENTITY_ROWS, pointInTimeJoin } from './point-in-time-join.js'
import { type PulledQuery, pulledRows } from './pulled-rows.js'
import type { StepDialect } from './sql-dialect.js'
import type { SqlEngine, SqlSession } from './sql-engine.js'
import { feastTypeOf } from './sql-type.js'

export interface SqlOfflineStoreOptions {
  /** For files at `s3:` URIs. */
  readonly aws?: AwsSettings
  readonly partRows?: number
}

/** An offline store of any database that speaks SQL. */
export function sqlOfflineStore(
  engine: SqlEngine,
  { aws, partRows = PART_ROWS }: SqlOfflineStoreOptions = {},
): OfflineStore {
  const staged = new StagedFiles(aws)
  return {
    describe: (source) => describe(engine, source),
    getHistoricalFeatures: (query) => historicalJob(engine, query),
    pull: (query) => pullJob(engine, query, partRows, staged),
    write: (source, batches) => engine.append(source, batches),
    save: (target, fields, batches, options) =>
      writeBatches(engine.filePath(target), fields, batches, options),
    stagingLocation: undefined,
    readStaged: (file, fields, options = {}) => staged.read(file, fields, options),
    dropStaged: (prefix) => staged.drop(prefix),
    async close() {
      await engine.close()
      await staged.close()
    },
  }
}

async function describe(engine: SqlEngine, source: BatchSource): Promise<readonly Field[]> {
  const { columns } = await engine.sourceRelation(source, new Map())
  return columns.map(({ name, type }) => field(name, feastTypeOf(type)))
}

/** What a job does, once its columns are known. */
interface Prepared {
  readonly fields: readonly Field[]
  /** For people. */
  readonly text: string
  /** Brings the session to where `select` can run. */
  select(session: SqlSession): Promise<string>
}

function historicalJob(engine: SqlEngine, query: HistoricalQuery): RetrievalJob {
  return job(engine, async () => {
    const plan = await historicalPlan(query, engine)
    return {
      fields: plan.fields,
      text: historicalText(plan, engine.dialect),
      select: (session) => runSteps(plan, query, session, engine.dialect),
    }
  })
}

async function runSteps(
  plan: HistoricalPlan,
  query: HistoricalQuery,
  session: SqlSession,
  dialect: StepDialect,
): Promise<string> {
  const rows = query.entityRows
  const given =
    rows.kind === 'batches'
      ? (await session.load('given_rows', rows.fields, rows.batches)).sql
      : plan.entity.sql!
  await session.keep(ENTITY_ROWS, plan.stage(given))
  const [count, start, end] = await session.numbers(`SELECT count(*), min(t), max(t) FROM ${ENTITY_ROWS}`)
  if (count === 0n) return plan.empty
  const span = { start: start ?? undefined, end: end ?? undefined }
  const program = pointInTimeJoin(plan.views, plan.output, span, dialect)
  for (const { name, sql } of program.steps) await session.keep(name, sql)
  return program.select
}

function historicalText(plan: HistoricalPlan, dialect: StepDialect): string {
  const open = { start: undefined, end: undefined }
  const { steps, select } = pointInTimeJoin(plan.views, plan.output, open, dialect)
  const named = [{ name: ENTITY_ROWS, sql: plan.stage(plan.entity.sql ?? 'given_rows') }, ...steps]
  return `WITH ${named.map(({ name, sql }) => `${name} AS (\n${sql}\n)`).join(',\n')}\n${select}`
}

function pullJob(engine: SqlEngine, query: PullQuery, partRows: number, staged: StagedFiles): PullJob {
  const prepare = once(() => pulledRows(engine, query))
  const base = job(engine, async () => {
    const { rows, fields } = await prepare()
    const text = query.latest ? latestRows(rows, engine.dialect) : allRows(rows, engine.dialect)
    return { fields, text, select: async () => text }
  })
  const counted = async (count: (rows: PulledRows) => string, signal: AbortSignal | undefined) => {
    const { rows } = await prepare()
    const session = await engine.open(signal)
    try {
      return Number((await session.numbers(count(rows)))[0])
    } finally {
      await session.close()
    }
  }
  return {
    ...base,
    async *batches(signal) {
      if (inParts(engine, query)) yield* streamParts(engine, await prepare(), signal, partRows)
      else yield* base.batches(signal)
    },
    skippedRows: (signal) => counted(skippedRows, signal),
    expectedRows: (signal) => counted(expectedRows, signal),
    async stage(prefix, options) {
      const { fields } = await prepare()
      const files = await stageCopies(engine, await prepare(), { prefix, partRows, staged, query }, options)
      return { fields, files, cost: undefined, skipped: await counted(skippedRows, options.signal) }
    },
  }
}

interface CopyTarget {
  readonly prefix: string
  readonly partRows: number
  readonly staged: StagedFiles
  readonly query: PullQuery
}

/** A file per part of the keys, where the engine can tell parts; else one. */
async function stageCopies(
  engine: SqlEngine,
  pulled: PulledQuery,
  { prefix, partRows, staged, query }: CopyTarget,
  { files: wanted = 1, signal }: StageOptions,
): Promise<readonly StagedFile[]> {
  await staged.drop(prefix)
  const { rows, fields } = pulled
  const session = await engine.open(signal)
  const files: StagedFile[] = []
  const copy = async (sql: string) => {
    const uri = `${prefix}${String(files.length).padStart(5, '0')}.parquet`
    const file = await staged.put(uri, (path) => session.copy(sql, fields, path, 'parquet'), signal)
    if (file !== undefined) files.push(file)
  }
  try {
    if (!inParts(engine, query)) {
      await copy(query.latest ? latestRows(rows, engine.dialect) : allRows(rows, engine.dialect))
      return files
    }
    const of = Math.max(wanted, await partCount(session, pulled, partRows))
    for (let number = 0; number < of; number++) {
      const steps = latestSteps(rows, engine.dialect, { number, of })
      await session.keep(NEWEST, steps.newest)
      await copy(`${steps.single}\nUNION ALL\n${steps.tied}`)
      await session.forget(NEWEST)
    }
    return files
  } finally {
    await session.close()
  }
}

function inParts({ dialect }: SqlEngine, { latest, joinKeys }: PullQuery): boolean {
  return latest && joinKeys.length > 0 && dialect.parts !== undefined
}

/** Rows whose keys and times are in memory at a time: some 40 MB. */
const PART_ROWS = 250_000
/** Each reads the source again; beyond, the engine spills. */
const MAX_PARTS = 50

/** The latest rows of all keys, some keys after others, so that memory does not grow with their number. */
async function* streamParts(
  engine: SqlEngine,
  pulled: PulledQuery,
  signal: AbortSignal | undefined,
  partRows: number,
): AsyncGenerator<ColumnBatch> {
  const { rows, fields } = pulled
  const session = await engine.open(signal)
  try {
    const of = await partCount(session, pulled, partRows)
    for (let number = 0; number < of; number++) {
      const steps = latestSteps(rows, engine.dialect, { number, of })
      await session.keep(NEWEST, steps.newest)
      yield* session.stream(steps.single, fields)
      if ((await session.numbers(steps.countTied))[0] !== 0n) yield* session.stream(steps.tied, fields)
      await session.forget(NEWEST)
    }
  } finally {
    await session.close()
  }
}

async function partCount(
  session: SqlSession,
  { rows, isColumnar }: PulledQuery,
  partRows: number,
): Promise<number> {
  const count = isColumnar ? Number((await session.numbers(windowRows(rows)))[0]) : 1
  return Math.max(1, Math.min(MAX_PARTS, Math.ceil(count / partRows)))
}

function job(engine: SqlEngine, prepare: () => Promise<Prepared>): RetrievalJob {
  const prepared = once(prepare)
  return {
    fields: async () => (await prepared()).fields,
    sql: async () => (await prepared()).text,
    batches: (signal) => stream(engine, prepared, signal),
    persist: (target, options) => persist(engine, prepared, target, options),
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

async function* stream(
  engine: SqlEngine,
  prepared: () => Promise<Prepared>,
  signal: AbortSignal | undefined,
): AsyncGenerator<ColumnBatch> {
  const { fields, select } = await prepared()
  const session = await engine.open(signal)
  try {
    yield* session.stream(await select(session), fields)
  } finally {
    await session.close()
  }
}

async function persist(
  engine: SqlEngine,
  prepared: () => Promise<Prepared>,
  target: string | BatchSource,
  options: PersistOptions = {},
): Promise<{ readonly rows: number }> {
  const path = typeof target === 'string' ? target : engine.filePath(target)
  const { fields, select } = await prepared()
  return replaceFile(path, options, async (unfinished, format) => {
    const session = await engine.open(options.signal)
    try {
      return await session.copy(await select(session), fields, unfinished, format)
    } finally {
      await session.close()
    }
  })
}
