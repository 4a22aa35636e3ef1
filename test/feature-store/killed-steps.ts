import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { entity, Float64, featureView, fileSource, Int64, String as StringType } from '../../src/index.js'
import { redisRows } from '../compat/redis-rows.js'
import type { RedisServer } from '../redis-server.js'
import { startStore } from './store-process.js'
import { at, repoOf, Workbench } from './workbench.js'

const START = '2024-01-01T00:00:00Z'
const END = '2024-02-01T00:00:00Z'
const NAMES = ['one', 'two']
const KEYS = 600
const key = entity({ name: 'k', valueType: Int64 })
const views = NAMES.map((name) =>
  featureView({
    name,
    entities: [key],
    schema: { v: Int64, w: Float64, s: StringType },
    source: fileSource({ name: `${name}_src`, path: `data/${name}.parquet`, timestampField: 't' }),
  }),
)

/** Either way to bring rows online, as the verbs that a process goes through. */
export const WAYS = { 'one command': 'run', 'plan, load and commit': 'plan,load,commit' } as const

/** A feature repo on a Redis, whose runs are killed and run again. */
export class KilledSteps {
  private constructor(
    private readonly bench: Workbench,
    private readonly redis: RedisServer,
    private readonly undisturbed: Awaited<ReturnType<typeof redisRows>>,
  ) {}

  static async open(redis: RedisServer): Promise<KilledSteps> {
    const bench = new Workbench()
    writeFileSync(
      join(bench.path, 'feature_store.yaml'),
      `project: demo
registry: data/registry.db
online_store:
  type: redis
  connection_string: ${redis.address}
entity_key_serialization_version: 3
materialization:
  online_write_batch_size: 200
`,
    )
    for (const [n, name] of NAMES.entries()) {
      await bench.parquet(
        `data/${name}.parquet`,
        `SELECT (i % ${KEYS})::BIGINT AS k, TIMESTAMP '2024-01-01' + to_seconds((hash(i + ${n}) % 2600000)::BIGINT) AS t,
           i::BIGINT AS v, i / 7.0 AS w, 's' || i AS s FROM range(${KEYS * 2}) r(i)`,
      )
    }
    const store = await bench.open()
    await store.apply(repoOf(key, ...views))
    await store.materialize({ mode: 'range', start: at(START), end: at(END) })
    return new KilledSteps(bench, redis, await redisRows(redis))
  }

  /** How many points there are at which a process can be killed. */
  async points(verbs: string): Promise<number> {
    await this.#reset()
    const { said } = await this.#process(verbs, 0)
    return Number(/^points (\d+)$/.exec(said.at(-1)!)![1])
  }

  /**
   * A run is killed at each of the points in turn, then comes to its end.
   * @returns how many of the kills met it
   */
  async kill(verbs: string, killAt: readonly number[]): Promise<number> {
    await this.#reset()
    let met = 0
    const queries: string[] = []
    for (const point of killAt) {
      const { code, said } = await this.#process(verbs, point)
      if (code === null) met++
      // What is recorded is over; the next run is another one.
      if ((await this.#intervals()).every((intervals) => intervals.length > 0)) queries.length = 0
      else queries.push(...said)
    }
    const { code, said } = await this.#process(verbs, 0)
    expect({ code, said }).toEqual({ code: 0, said: expect.anything() })
    for (const name of NAMES) {
      const asked = [...queries, ...said].filter((line) => line.startsWith(`query ${name}_src `))
      if (queries.length > 0) expect(new Set(asked).size).toBe(1)
    }
    expect(await redisRows(this.redis)).toEqual(this.undisturbed)
    const whole = { start: at(START), end: at(END) }
    expect(await this.#intervals()).toEqual(NAMES.map(() => [whole]))
    expect(this.leftovers()).toEqual([])
    return met
  }

  /** Files that a finished run should have removed; a lock whose holder was killed holds nobody. */
  leftovers(): readonly string[] {
    return [
      'staging',
      'data/registry.db.leases',
      ...['steps', 'open', 'plans'].map((one) => `data/registry.db.runs/demo/${one}`),
    ].flatMap((folder) => filesIn(join(this.bench.path, folder)))
  }

  close(): Promise<void> {
    return this.bench.close()
  }

  async #intervals() {
    const registry = await (await this.bench.open()).refreshRegistry()
    return NAMES.map((name) => registry.viewState('demo', name).intervals)
  }

  /** Nothing online, nothing recorded. */
  async #reset(): Promise<void> {
    await this.redis.call('FLUSHALL')
    const store = await this.bench.open()
    for (const name of NAMES) await store.deleteObject(name)
    await store.apply(repoOf(key, ...views))
  }

  async #process(
    verbs: string,
    killAt: number,
  ): Promise<{ readonly code: number | null; readonly said: readonly string[] }> {
    const process = await startStore('steps', this.bench.path, START, END, verbs, String(killAt))
    const code = await process.ended
    return { code, said: process.lines() }
  }
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.lock'))
      .map((entry) => join(entry.parentPath, entry.name))
  } catch {
    return []
  }
}
