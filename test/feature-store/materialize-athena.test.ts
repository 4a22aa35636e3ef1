import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { entity, featureView, Int64, UnixTimestamp } from '../../src/index.js'
import { AthenaBench } from '../offline-stores/athena-bench.js'
import { seededRandom } from './killed-runs.js'
import { startStore } from './store-process.js'
import { at, online, repoOf, Workbench } from './workbench.js'

const seed = Number(process.env.FEAST_SEED ?? Date.now() % 1e9)
const [START, END] = ['2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z']
const KEYS = 300
const key = entity({ name: 'k', valueType: Int64 })

let athena: AthenaBench
let bench: Workbench

beforeAll(async () => {
  athena = await new AthenaBench().open()
  bench = new Workbench()
  const { region, endpoint } = athena.emulator.settings
  writeFileSync(
    join(bench.path, 'feature_store.yaml'),
    JSON.stringify({
      project: 'demo',
      registry: 'data/registry.db',
      online_store: { type: 'sqlite', path: 'data/online.db' },
      offline_store: { type: 'athena', ...athena.block },
      aws: { region, endpoint, path_style: true },
      materialization: { online_write_batch_size: 100 },
    }),
  )
}, 120_000)
afterAll(async () => {
  await bench.close()
  await athena.close()
})

it(`over Athena: killed twice, the third process ends what one query gave, and leaves nothing (FEAST_SEED=${seed})`, async () => {
  const rows = Array.from({ length: 2 * KEYS }, (_, i) => ({
    k: BigInt(i % KEYS),
    ts: at('2024-01-02T00:00:00Z') + BigInt(i) * 1_000_000n,
    v: BigInt(i),
  }))
  const columns = [
    { name: 'k', type: Int64 },
    { name: 'ts', type: UnixTimestamp },
    { name: 'v', type: Int64 },
  ]
  const source = await athena.table(columns, rows)
  const view = featureView({ name: 'rides', entities: [key], schema: { v: Int64 }, source })
  const store = await bench.open()
  await store.apply(repoOf(key, view), { skipSourceValidation: true })
  const queries = () => athena.athena.timesRun(/^\s*UNLOAD/i)
  const run = async (killAt: number) => {
    const child = await startStore('steps', bench.path, START, END, 'run', String(killAt))
    return { code: await child.ended, said: child.lines() }
  }

  const undisturbed = await run(0)
  expect(undisturbed).toMatchObject({ code: 0 })
  expect(queries()).toBe(1)
  const points = Number(/^points (\d+)$/.exec(undisturbed.said.at(-1)!)![1])
  await store.deleteObject('rides')
  await store.apply(repoOf(key, view), { skipSourceValidation: true })

  // Before the view is recorded: from then on the run is over, and the next one is another. What is left of a run that
  // goes on is shorter.
  const random = seededRandom(seed)
  const point = (share: number) => 1 + Math.floor(random() * points * share)
  for (const killAt of [point(0.35), point(0.2)]) expect((await run(killAt)).code).toBeNull()
  expect((await run(0)).code).toBe(0)
  expect(queries()).toBe(2)
  expect(athena.leftovers()).toEqual([])
  const { v } = await online(store, ['rides:v'], { k: [0, 1, KEYS - 1] })
  expect(v).toEqual([BigInt(KEYS), BigInt(KEYS + 1), BigInt(2 * KEYS - 1)])
  const whole = { start: at(START), end: at(END) }
  expect((await store.refreshRegistry()).viewState('demo', 'rides').intervals).toEqual([whole])
  const [last] = await store.materializations()
  expect(last).toMatchObject({ state: 'committed', views: [{ state: 'recorded', rows: KEYS }] })
  expect(last!.views[0]!.scannedBytes).toBeGreaterThan(0)
  expect(last!.views[0]!.price).toBeGreaterThan(0)
}, 300_000)
