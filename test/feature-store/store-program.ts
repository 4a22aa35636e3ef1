import { join } from 'node:path'
import { loadRepoConfig } from '../../src/config/repo-config.js'
import { parseInstant } from '../../src/core/instant.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import { entity, featureView, fileSource, Int64 } from '../../src/index.js'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import type { PullQuery } from '../../src/offline-stores/offline-store.js'
import { repoOf } from './definitions.js'

/**
 * `materialize REPO START END`, `apply REPO PREFIX COUNT`, or `steps REPO START END VERBS KILL_AT`; a line on stdout
 * for each step done.
 */
const [verb, repoPath, ...rest] = process.argv.slice(2) as [string, string, ...string[]]
const store = openFeatureStore(await loadRepoConfig({ chdir: repoPath, env: {} }))
let points = 0
const say = (line: string) => process.stdout.write(`${line}\n`)

if (verb === 'materialize') {
  const [start, end] = rest.map((text) => parseInstant(text, verb)) as [bigint, bigint]
  const { views } = await store.materialize({
    mode: 'range',
    start,
    end,
    onProgress: ({ view, phase, rows }) => say(`${view} ${phase} ${rows}`),
  })
  process.exitCode = views.every(({ outcome }) => outcome === 'done') ? 0 : 1
} else if (verb === 'steps') {
  const [start, end] = rest.slice(0, 2).map((text) => parseInstant(text, verb)) as [bigint, bigint]
  await dyingAt(Number(rest[3]))
  const request = { mode: 'range', start, end, concurrency: 1 } as const
  for (const step of rest[2]!.split(',')) {
    if (step === 'run') {
      const { views } = await store.materialize(request)
      if (views.some(({ outcome }) => outcome === 'failed' || outcome === 'already running')) {
        say(JSON.stringify(views.map(({ outcome, error, notices }) => ({ outcome, error, notices }))))
        process.exitCode = 1
      }
      continue
    }
    const { run } = await store.planMaterialization({ ...request, shards: 2 })
    if (step === 'plan') continue
    if (step === 'commit') await store.commitMaterialization({ run })
    else for (const number of [0, 1]) await store.loadMaterialization({ run, shard: { number, of: 2 } })
  }
  say(`points ${points}`)
} else {
  const [prefix, count] = rest as [string, string]
  const key = entity({ name: 'k', valueType: Int64 })
  const source = fileSource({ name: 'src', path: 'data/src.parquet', timestampField: 't' })
  const view = (n: number) =>
    featureView({ name: `${prefix}_${n}`, entities: [key], schema: { v: Int64 }, source })
  for (let n = 0; n < Number(count); n++) {
    await store.apply(repoOf(key, view(n)), { skipSourceValidation: true })
    say(`applied ${n}`)
  }
}
await store.close()

/**
 * Kills this process at the n-th point right before or right after something that outlives it: an object written,
 * moved or removed, rows written online. Says what it asks the offline store for. Results are staged as if queries
 * were paid for.
 */
async function dyingAt(killAt: number): Promise<void> {
  const around = <Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) =>
    async function (this: unknown, ...args: Args): Promise<Result> {
      if (++points === killAt) process.kill(process.pid, 'SIGKILL')
      const result = await work.apply(this, args)
      if (++points === killAt) process.kill(process.pid, 'SIGKILL')
      return result
    }
  const objects = FileObjectStore.prototype
  objects.write = around(objects.write)
  objects.remove = around(objects.remove)
  objects.upload = around(objects.upload)
  objects.removeAll = around(objects.removeAll)
  const online = await store.onlineStore()
  online.write = around(online.write.bind(online))
  const offline = await store.offlineStore()
  const pull = offline.pull.bind(offline)
  Object.assign(offline, {
    stagingLocation: offline.stagingLocation ?? join(repoPath, 'staging'),
    pull: (query: PullQuery) => {
      const job = pull(query)
      const stage = job.stage.bind(job)
      job.stage = (prefix, options) => {
        say(`query ${query.source.name} ${options.token}`)
        return stage(prefix, options)
      }
      return job
    },
  })
}
