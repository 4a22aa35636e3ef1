import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
// Jest's module loader trips over two dynamic imports at once; what the store loads lazily is loaded here first.
import '../../src/compute-engines/local/index.js'
import '../../src/feature-store/apply.js'
import '../../src/feature-store/historical-features.js'
import '../../src/feature-store/materialize.js'
import '../../src/feature-store/push.js'
import '../../src/object-stores/file/file-object-store.js'
import '../../src/object-stores/index.js'
import '../../src/offline-stores/duckdb/index.js'
import '../../src/offline-stores/duckdb/write-with-duckdb.js'
import '../../src/offline-stores/index.js'
import '../../src/online-stores/index.js'
import '../../src/online-stores/redis/index.js'
import '../../src/online-stores/sqlite/index.js'
import '../../src/registry/file/file-registry-store.js'
import '../../src/registry/index.js'
import '../../src/registry/registry-cache.js'
import '../../src/serving/online-serving.js'
import type { FeatureRepo } from '../../src/config/feature-repo.js'
import { loadRepoConfig } from '../../src/config/repo-config.js'
import type { Cell } from '../../src/core/cell.js'
import type { Definition } from '../../src/core/definition.js'
import type { Field } from '../../src/core/field.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import type { RetrievalJob } from '../../src/offline-stores/offline-store.js'
import { freePort } from '../free-port.js'
import { untilListening, untilServing } from './real-feast.js'

const ROOT = resolve(fileURLToPath(import.meta.url), '../../..')
const CLI = join(ROOT, 'dist/cli.js')

/** A feature repo made of what a module exports. */
export function repoOf(exports: object, file: string): FeatureRepo {
  return {
    definitions: Object.entries(exports)
      .filter(([, value]) => typeof value === 'object' && value !== null && 'kind' in value)
      .filter(([, value]) => (value as { kind: string }).kind !== 'projection')
      .map(([exportName, definition]) => ({ definition: definition as Definition, file, exportName })),
  }
}

export async function openOurs(repo: string, definitions?: FeatureRepo): Promise<FeatureStore> {
  const config = await loadRepoConfig({ chdir: repo })
  return openFeatureStore(config, definitions ? { loadFeatureRepo: async () => definitions } : {})
}

export interface Rows {
  readonly fields: readonly Field[]
  readonly rows: readonly Readonly<Record<string, Cell>>[]
}

/** All rows of a job; for results that are known to be small. */
export async function collect(job: RetrievalJob): Promise<Rows> {
  const rows: Record<string, Cell>[] = []
  for await (const { fields, columns, rowCount } of job.batches()) {
    for (let row = 0; row < rowCount; row++) {
      rows.push(Object.fromEntries(fields.map(({ name }, i) => [name, columns[i]![row] ?? null])))
    }
  }
  return { fields: await job.fields(), rows }
}

/** The built command in a process of its own. @throws with its output when it fails */
export async function runCommand(repo: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [builtCommand(), '--chdir', repo, ...args], {
    env: { ...process.env, NODE_OPTIONS: '' },
    maxBuffer: 64 << 20,
  })
  return stdout
}

function builtCommand(): string {
  if (!existsSync(CLI))
    throw new Error('dist/cli.js is not there: run `npm run build` first (`npm test` does)')
  return CLI
}

export interface OurServer {
  readonly port: number
  /** Where it was asked for. */
  readonly grpcPort: number
  stop(): Promise<void>
}

/** `feast serve` as users run it. */
export async function serveOurs(repo: string, { grpc = false } = {}): Promise<OurServer> {
  const [port, grpcPort] = [await freePort(), await freePort()]
  const grpcFlags = grpc ? ['--grpc-port', String(grpcPort)] : ['--no-grpc']
  const child = spawn(
    process.execPath,
    [builtCommand(), '--chdir', repo, 'serve', '--port', String(port), '--no-access-log', ...grpcFlags],
    { env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let errors = ''
  child.stderr!.on('data', (data) => {
    errors += data
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  await Promise.race([
    untilServing(port).then(() => (grpc ? untilListening(grpcPort) : undefined)),
    ended.then((code) => {
      throw new Error(`feast serve ended with code ${code}: ${errors}`)
    }),
  ])
  return { port, grpcPort, stop: () => stop(child, ended) }
}

async function stop(child: ChildProcess, ended: Promise<number | null>): Promise<void> {
  child.kill('SIGTERM')
  await ended
}
