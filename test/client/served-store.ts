import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
// Jest's module loader trips over two dynamic imports at once; what is loaded lazily is loaded here first.
import 'prom-client'
import '../../src/feature-store/precomputed-vectors.js'
import '../../src/server/auth/access-control.js'
import '../../src/server/grpc/start-grpc.js'
import '../../src/server/http/app.js'
import '../../src/server/http/materialize-jobs.js'
import '../../src/server/http/server-metrics.js'
import '../../src/server/tracing.js'
import { clientSchema } from '../../src/cli/client-schema.js'
import type { ProjectSchema } from '../../src/client/project-schema.js'
import type { Cell } from '../../src/core/cell.js'
import { field } from '../../src/core/field.js'
import { silentLogger } from '../../src/core/logger.js'
import type { FeastType } from '../../src/core/value-type.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import type { Tls } from '../../src/server/http/app.js'
import { startServer } from '../../src/server/serve.js'
import { openOurs, repoOf } from '../compat/our-feast.js'
import * as definitions from './client-repo.js'

const log = { logger: silentLogger, access: undefined, flush() {} }

export interface ServedStore {
  readonly store: FeatureStore
  readonly schema: ProjectSchema
  readonly httpPort: number
  readonly grpcPort: number
  /** Writes rows of cells to a view. */
  write(view: string, columns: Readonly<Record<string, TypedCells>>): Promise<void>
  stop(): Promise<void>
}

export interface TypedCells {
  readonly type: FeastType
  readonly cells: readonly Cell[]
}

/** The tests' project on SQLite (or what the YAML says), applied and served over HTTP and gRPC by this process. */
export async function serveStore(
  onlineStore = '{ type: sqlite, path: data/online.db }',
  tls?: Tls,
): Promise<ServedStore> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-client-'))
  mkdirSync(join(folder, 'data'))
  const yaml = [
    'project: demo',
    'registry: data/registry.db',
    'provider: local',
    `online_store: ${onlineStore}`,
    'offline_store: { type: duckdb }',
    'entity_key_serialization_version: 3',
  ]
  writeFileSync(join(folder, 'feature_store.yaml'), yaml.join('\n'))
  const repo = repoOf(definitions, 'client-repo.ts')
  const store = await openOurs(folder, repo)
  await store.apply(repo, { skipSourceValidation: true })
  const server = await startServer({ store, log, port: 0, grpcPort: 0, drainSeconds: 1, ...(tls && { tls }) })
  return {
    store,
    schema: clientSchema({ registry: await store.registry(), project: 'demo', versioning: false }),
    httpPort: server.port,
    grpcPort: server.grpcPort!,
    async write(view, columns) {
      const fields = Object.entries(columns).map(([name, { type }]) => field(name, type))
      const cells = Object.values(columns).map((column) => column.cells)
      await store.writeToOnlineStore(view, { fields, columns: cells, rowCount: cells[0]!.length })
    },
    async stop() {
      await server.stop()
      rmSync(folder, { recursive: true })
    },
  }
}
