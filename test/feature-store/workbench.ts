import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { FeatureRepo } from '../../src/config/feature-repo.js'
import { loadRepoConfig } from '../../src/config/repo-config.js'
import type { Cell, ColumnBatch } from '../../src/core/cell.js'
import { type Field, field } from '../../src/core/field.js'
import { parseInstant } from '../../src/core/instant.js'
import type { Logger } from '../../src/core/logger.js'
import type { FeastType } from '../../src/core/value-type.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import type { EntityRows, RetrievalJob } from '../../src/offline-stores/offline-store.js'

/** A feature repo in a folder of its own, with Parquet files made by SQL; gone after the test. */
export class Workbench {
  readonly path = mkdtempSync(join(tmpdir(), 'feast-store-'))
  readonly #stores: FeatureStore[] = []

  constructor(yaml = '') {
    writeFileSync(
      join(this.path, 'feature_store.yaml'),
      `project: demo\nprovider: local\nregistry: data/registry.db\nonline_store:\n  type: sqlite\n  path: data/online.db\noffline_store:\n  type: duckdb\nentity_key_serialization_version: 3\n${yaml}`,
    )
  }

  async open(options: { readonly repo?: FeatureRepo; readonly logger?: Logger } = {}): Promise<FeatureStore> {
    const config = await loadRepoConfig({ chdir: this.path, env: {} })
    const store = openFeatureStore(config, {
      ...(options.logger && { logger: options.logger }),
      loadFeatureRepo: async () => options.repo ?? { definitions: [] },
    })
    this.#stores.push(store)
    return store
  }

  /** Writes the rows of a SELECT to a Parquet file below the repo. */
  async parquet(file: string, select: string): Promise<void> {
    mkdirSync(dirname(join(this.path, file)), { recursive: true })
    await runSql(`SET TimeZone = 'UTC'; COPY (${select}) TO '${join(this.path, file)}' (FORMAT parquet)`)
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close()
    rmSync(this.path, { recursive: true, force: true })
  }
}

export async function runSql(sql: string): Promise<readonly Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson() as Record<string, unknown>[]
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

export { repoOf } from './definitions.js'

export const at = (text: string): bigint => parseInstant(text, 'test')

export function batchOf(
  schema: Readonly<Record<string, FeastType>>,
  rows: readonly Readonly<Record<string, Cell>>[],
): ColumnBatch {
  const fields: Field[] = Object.entries(schema).map(([name, type]) => field(name, type))
  return {
    fields,
    columns: fields.map(({ name }) => rows.map((row) => row[name] ?? null)),
    rowCount: rows.length,
  }
}

export function entityRows(
  schema: Readonly<Record<string, FeastType>>,
  rows: readonly Readonly<Record<string, Cell>>[],
): EntityRows {
  const batch = batchOf(schema, rows)
  return {
    kind: 'batches',
    fields: batch.fields,
    batches: (async function* () {
      yield batch
    })(),
  }
}

export async function rowsOf(job: RetrievalJob): Promise<Record<string, Cell>[]> {
  const rows: Record<string, Cell>[] = []
  for await (const { fields, columns, rowCount } of job.batches()) {
    for (let row = 0; row < rowCount; row++) {
      rows.push(Object.fromEntries(fields.map(({ name }, index) => [name, columns[index]![row]!])))
    }
  }
  return rows
}

/** Values of a view's features for some keys, as the online store has them. */
export async function online(
  store: FeatureStore,
  features: readonly string[],
  entities: Readonly<Record<string, readonly unknown[]>>,
): Promise<Record<string, readonly Cell[]>> {
  const { columns } = await (await store.serving()).getOnlineFeatures({ features, entities })
  return Object.fromEntries(columns.map(({ name, values }) => [name, values]))
}

/** The error that a call ends with; fails when it ends well. */
export async function errorOf(work: Promise<unknown>): Promise<Error & { readonly code?: string }> {
  const outcome = await work.then(
    () => undefined,
    (error: Error) => error,
  )
  if (outcome === undefined) throw new Error('expected an error')
  return outcome
}
