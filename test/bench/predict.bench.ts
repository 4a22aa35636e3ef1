/**
 * `/predict` beside our own lookup of the same features (50, float32) and beside raw tensors for the same model, a
 * hundred trees of depth 6: the time of one request after another, and requests per second of a core of the server.
 */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  entity,
  Float32,
  featureService,
  featureView,
  fileSource,
  Int64,
  pick,
  UnixTimestamp,
} from 'feast-node'
import { loadRepoConfig } from '../../src/config/repo-config.js'
import { field } from '../../src/core/field.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import { node, onnxModel, tensorInfo } from '../models/onnx-builder.js'
import { RedisServer } from '../redis-server.js'
import { repoOf } from '../feature-store/definitions.js'
import { BenchReport } from './bench-report.js'
import { buildCommand } from './bench-repo.js'
import { serveOurs } from './bench-server.js'
import { LoadGenerator, servesAsLoadGenerator } from './load-generator.js'
import { httpRequest } from './load-lanes.js'
import { cpuSeconds } from './process-cost.js'

const FEATURES = 50
const ENTITIES = 1000
const seconds = process.argv.includes('--quick') ? 2 : 8
const names = Array.from({ length: FEATURES }, (_, index) => `f${index}`)

const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
const stats = featureView({
  name: 'stats',
  entities: [user],
  schema: Object.fromEntries(names.map((name) => [name, Float32])),
  source: fileSource({ path: 'data/none.parquet', timestampField: 'event_timestamp' }),
})
const service = featureService({ name: 'bench', features: [pick(stats)] })

/** Full binary trees over random features; leaf values small. */
function forest(trees: number, depth: number): Buffer {
  const inner = 2 ** depth - 1
  const ids = Array.from({ length: 2 * inner + 1 }, (_, index) => index)
  const all = <T>(of: (id: number, tree: number) => T) =>
    Array.from({ length: trees }, (_, tree) => ids.map((id) => of(id, tree))).flat()
  const random = (id: number, tree: number) =>
    (Math.imul(id * 31 + tree * 1013 + 7, 2_654_435_761) >>> 8) / 2 ** 24
  const leaves = ids.slice(inner)
  const ofLeaves = <T>(of: (id: number, tree: number) => T) =>
    Array.from({ length: trees }, (_, tree) => leaves.map((id) => of(id, tree))).flat()
  const attributes = {
    nodes_treeids: { ints: all((_, tree) => tree) },
    nodes_nodeids: { ints: all((id) => id) },
    nodes_featureids: { ints: all((id, tree) => (id < inner ? Math.floor(random(id, tree) * FEATURES) : 0)) },
    nodes_values: { floats: all((id, tree) => (id < inner ? random(id + 5, tree) : 0)) },
    nodes_modes: { strings: all((id) => (id < inner ? 'BRANCH_LEQ' : 'LEAF')) },
    nodes_truenodeids: { ints: all((id) => (id < inner ? 2 * id + 1 : 0)) },
    nodes_falsenodeids: { ints: all((id) => (id < inner ? 2 * id + 2 : 0)) },
    target_treeids: { ints: ofLeaves((_, tree) => tree) },
    target_nodeids: { ints: ofLeaves((id) => id) },
    target_ids: { ints: ofLeaves(() => 0) },
    target_weights: { floats: ofLeaves((id, tree) => random(id, tree) / 100) },
    n_targets: { i: 1 },
  }
  return onnxModel({
    nodes: [node('TreeEnsembleRegressor', ['x'], ['score'], attributes, 'ai.onnx.ml')],
    inputs: [tensorInfo('x', 'float32', ['N', FEATURES])],
    outputs: [tensorInfo('score', 'float32', ['N', 1])],
  })
}

async function makeRepo(folder: string, redis: string): Promise<void> {
  writeFileSync(join(folder, 'forest.onnx'), forest(100, 6))
  writeFileSync(
    join(folder, 'feature_store.yaml'),
    `project: bench\nprovider: local\nregistry: data/registry.db\nonline_store: { type: redis, connection_string: "${redis}" }\n`,
  )
  appendFileSync(
    join(folder, 'feature_store.yaml'),
    'models: { inference: { workers: 1 }, files: { forest: { path: forest.onnx, feature_service: bench } } }\n',
  )
  const store = openFeatureStore(await loadRepoConfig({ chdir: folder, env: {} }))
  await store.apply(repoOf(user, stats, service), { skipSourceValidation: true })
  const ids = Array.from({ length: ENTITIES }, (_, id) => id)
  const now = BigInt(Date.now()) * 1000n
  await store.writeToOnlineStore('stats', {
    fields: [
      field('user_id', Int64),
      field('event_timestamp', UnixTimestamp),
      ...names.map((name) => field(name, Float32)),
    ],
    columns: [
      ids.map(BigInt),
      ids.map(() => now),
      ...names.map((_, index) => ids.map((id) => ((id * 7 + index) % 100) / 100)),
    ],
    rowCount: ENTITIES,
  })
  await store.close()
}

function bodies(entities: number): Readonly<Record<'lookup' | 'predict' | 'tensors', Buffer>> {
  const ids = Array.from({ length: entities }, (_, index) => index)
  const data = ids.flatMap((id) => names.map((_, index) => ((id * 7 + index) % 100) / 100))
  const post = (path: string, body: object) =>
    httpRequest(path, 'application/json', Buffer.from(JSON.stringify(body)))
  return {
    lookup: post('/get-online-features', { feature_service: 'bench', entities: { user_id: ids } }),
    predict: post('/predict', { model: 'forest', entities: { user_id: ids } }),
    tensors: post('/v2/models/forest/infer', {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [entities, FEATURES], data }],
    }),
  }
}

async function main(): Promise<void> {
  buildCommand()
  const report = new BenchReport('predict')
  const folder = mkdtempSync(join(tmpdir(), 'feast-predict-'))
  const redis = await RedisServer.start()
  const generator = new LoadGenerator()
  try {
    await makeRepo(folder, `127.0.0.1:${redis.port}`)
    const server = await serveOurs(folder, 1)
    try {
      for (const entities of [1, 100]) {
        for (const [name, request] of Object.entries(bodies(entities))) {
          const target = { port: server.port, requests: [request], answerBytes: [20, 64 << 20] as const }
          await generator.run({ target, seconds: 1, concurrency: 1 })
          const alone = await generator.run({ target, seconds, concurrency: 1 })
          const before = cpuSeconds(server.pid)
          const many = await generator.run({ target, seconds, concurrency: 16 })
          const cpu = cpuSeconds(server.pid) - before
          if (alone.failures + many.failures > 0)
            throw new Error(`${name}: ${alone.firstFailure ?? many.firstFailure}`)
          report.measured(`${name}, ${entities} ${entities === 1 ? 'entity' : 'entities'}`, {
            p50_ms: alone.latency.p50,
            p99_ms: alone.latency.p99,
            requests_per_core_second: many.requests / cpu,
            requests_per_second: many.requests / many.seconds,
          })
        }
      }
    } finally {
      await server.stop()
    }
  } finally {
    generator.close()
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

if (!servesAsLoadGenerator()) await main()
