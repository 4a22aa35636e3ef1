import { spawnSync } from 'node:child_process'
import { constants, copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { entity, featureService, featureView, fileSource, Int64 } from '../../src/index.js'
import { withFileLock } from '../../src/object-stores/file-lock.js'
import { seededRandom } from '../compat/random.js'
import { repoOf } from '../feature-store/definitions.js'
import { RedisServer } from '../redis-server.js'
import { until } from '../until.js'
import { makeStore } from './fixture.js'
import { LookupLoad } from './lookup-load.js'
import { ask, type ServingProcess, startServing } from './serving-process.js'

export interface ServedRegistry {
  readonly folder: string
  readonly serving: ServingProcess
  /** Of this process, on the same registry. */
  readonly store: FeatureStore
  readonly load: LookupLoad
  close(): Promise<void>
}

const REGISTRY_TTL_SECONDS = 1

/** `feast serve` that looks for a new registry every second, under lookups and writes. */
export async function serveRegistry(): Promise<ServedRegistry> {
  const redis = await RedisServer.start()
  const folder = mkdtempSync(join(tmpdir(), 'feast-registry-load-'))
  const store = await makeStore(folder, 'ignore', redis.address)
  const serving = await startServing(folder, ['--no-access-log', '-r', String(REGISTRY_TTL_SECONDS)])
  const grpcPort = () => Number(/gRPC on [^\s:]+:(\d+)/.exec(serving.stdout())?.[1] ?? 0)
  await until(() => grpcPort() > 0, 'gRPC')
  const load = new LookupLoad(serving.port, grpcPort(), seededRandom('registry under load'))
  await load.start({ readers: 8, writers: 2 })
  return {
    folder,
    serving,
    store,
    load,
    async close() {
      await load.stop()
      load.close()
      serving.child.kill('SIGKILL')
      await serving.exited
      await store.close()
      await redis.stop()
      rmSync(folder, { recursive: true })
    },
  }
}

const extra = entity({ name: 'extra', joinKey: 'extra_id', valueType: Int64 })
const source = fileSource({
  name: 'extra_src',
  path: 'data/extra.parquet',
  timestampField: 'event_timestamp',
})
const viewOf = (n: number) =>
  featureView({ name: `extra_${n}`, entities: [extra], schema: { v: Int64 }, source })
const serviceOf = (n: number) => featureService({ name: `extras_${n}`, features: [viewOf(n)] })

const APPLY_EVERY_MS = 100
/** Views are asked for while they come and go. */
const ALIVE = 4

/**
 * Adds a view and a service every 100 ms and removes others, for so long, and until all that was there first is gone.
 * @returns how often it was applied
 */
export async function applyOnAndOn({ store, serving, load }: ServedRegistry, forMs: number): Promise<number> {
  const end = performance.now() + forMs
  const statuses = new Map<number | undefined, number>()
  let applied = 0
  let isOver = false
  const asking = (async () => {
    while (!isOver) {
      const body = JSON.stringify({ feature_service: `extras_${applied - 1}`, entities: { extra_id: [1] } })
      const { status } = await ask({ port: serving.port, method: 'POST', path: '/get-online-features', body })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      await sleep(10)
    }
  })()
  try {
    while (performance.now() < end || applied < 2 * ALIVE) {
      const due = sleep(APPLY_EVERY_MS)
      await store.apply(repoOf(extra, viewOf(applied), serviceOf(applied)), { skipSourceValidation: true })
      const old = applied++ - ALIVE
      if (old >= 0) {
        await store.deleteObject(`extras_${old}`)
        await store.deleteObject(`extra_${old}`)
      }
      await due
    }
  } finally {
    isOver = true
  }
  await asking
  // There, or not there yet or any more; never a failure.
  expect([...statuses.keys()].filter((status) => status !== 200 && status !== 404)).toEqual([])
  expect(load.wrong).toEqual([])
  return applied
}

/** @throws Error when it is not served within 30 s of being applied */
export async function expectServed({ serving, store }: ServedRegistry, n: number): Promise<void> {
  await store.apply(repoOf(extra, viewOf(n), serviceOf(n)), { skipSourceValidation: true })
  const body = JSON.stringify({ feature_service: `extras_${n}`, entities: { extra_id: [1] } })
  await until(async () => {
    const { status } = await ask({ port: serving.port, method: 'POST', path: '/get-online-features', body })
    return status === 200
  }, 'a new service')
}

/** Each a view that is not there yet, so that there is something to write. */
let blocked = 20_000

/** Lookups go on while an apply waits for the registry's lock, and while the server's own refresh cannot end. */
export async function expectNobodyWaits({ folder, store, load }: ServedRegistry): Promise<void> {
  const registry = join(folder, 'data/registry.db')
  let isApplied = false
  let applying: Promise<unknown> | undefined
  await withFileLock(registry, async () => {
    applying = store.apply(repoOf(extra, viewOf(blocked++)), { skipSourceValidation: true }).then(() => {
      isApplied = true
    })
    await readSome(load)
    expect(isApplied).toBe(false)
  })
  await applying
  await readWhileRefreshHangs(registry, load)
  expect(load.wrong).toEqual([])
}

/** Who opens a pipe to read it waits until somebody opens it to write. */
async function readWhileRefreshHangs(registry: string, load: LookupLoad): Promise<void> {
  const [kept, pipe] = [`${registry}.kept`, `${registry}.pipe`]
  copyFileSync(registry, kept)
  expect(spawnSync('mkfifo', [pipe]).status).toBe(0)
  renameSync(pipe, registry)
  // The server looks when a lookup finds its snapshot older than a second.
  let writer: FileHandle | undefined
  await until(async () => {
    expect(await load.readHttp()).toBe(true)
    // Succeeds only while somebody waits to read, who then waits for what is written.
    writer = await open(registry, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined)
    return writer !== undefined
  }, "the server's look at the registry")
  await readSome(load)
  renameSync(kept, registry)
  await writer!.close()
}

async function readSome(load: LookupLoad): Promise<void> {
  for (let n = 0; n < 50; n++) {
    expect(await load.readHttp()).toBe(true)
    expect(await load.readGrpc()).toBe(true)
  }
}

/** Many views, so that reading and applying the registry takes its time. */
export async function growRegistry({ store }: ServedRegistry, viewCount: number): Promise<void> {
  const views = Array.from({ length: viewCount }, (_, n) => viewOf(10_000 + n))
  await store.apply(repoOf(extra, ...views), { skipSourceValidation: true })
}
