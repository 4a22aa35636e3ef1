import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { recordKeyText } from '../../src/core/definition.js'
import { VALUE_TYPE_NUMBERS } from '../../src/core/value-type.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { temporaryFolder } from '../temporary-folder.js'
import { Comparison } from './differences.js'
import { everyType } from './fixture.js'
import { FixtureData } from './fixture-data.js'
import { compareHistorical, HISTORICAL_REQUESTS } from './historical.js'
import { openOurs, repoOf } from './our-feast.js'
import * as oursOnly from './python-first-addition.js'
import { seededRandom } from './random.js'
import { COMPOSITES, randomValue } from './random-values.js'
import { describeWithRealFeast } from './real-feast.js'
import { comparable, type Json, LISTED_KINDS } from './registry-messages.js'
import { emptyTable, sqliteRows, sqliteSchema } from './sqlite-rows.js'

/** Value of the INT64 key 7 in an entity key. */
const DRIVER_7 = '0700000000000000'

/** Field 900, varint 42: nobody knows it, everybody must carry it. */
const UNKNOWN_FIELD = 'a0382a'

interface Spec {
  readonly name: string
  readonly ttl?: string
  readonly features?: readonly { readonly name: string; readonly value_type: string }[]
  readonly entity_columns?: readonly { readonly name: string; readonly value_type: string }[]
}

describeWithRealFeast('made by real Feast: we read, list, join, materialize and rewrite', (feast) => {
  const random = seededRandom('made by real Feast')
  const data = new FixtureData(random)
  let repo: string
  let store: FeatureStore

  beforeAll(async () => {
    repo = temporaryFolder('compat-python-first')
    await data.makeRepo(repo, feast())
    await feast().call('apply', { repo })
    await feast().call('save_dataset', { repo, name: 'saved_python_only', tags: { a: 'b' } })
    await feast().call('materialize', {
      repo,
      start: String(data.at(-48)),
      end: String(data.at(240)),
      views: MATERIALIZED,
    })
    await feast().call('extend_registry', {
      path: join(repo, 'data/registry.db'),
      unknown_hex: UNKNOWN_FIELD,
    })
    store = await openOurs(repo)
  }, 180_000)
  afterAll(() => store?.close())

  const MATERIALIZED = [
    'driver_stats',
    'pair_stats',
    'global_stats',
    'loc_stats',
    'inferred_stats',
    'every_type',
  ]

  it('reads every object, broken ones none', async () => {
    const theirs = await feast().call<Record<string, object>>('list', { repo })
    const registry = await store.registry()
    expect(registry.broken()).toEqual([])
    for (const [list, kind] of Object.entries(LISTED_KINDS)) {
      const names = registry.recordsOf('demo', kind).map(({ name }) => name)
      expect([list, names.sort()]).toEqual([list, Object.keys(theirs[list]!).sort()])
    }
  })

  it('understands features, join keys and TTL of every view', async () => {
    const theirs = await feast().call<Record<string, { spec: Spec }[]>>('registry', {
      path: join(repo, 'data/registry.db'),
    })
    const registry = await store.registry()
    const specs = [...theirs['feature_views']!, ...theirs['stream_feature_views']!, ...theirs['label_views']!]
    const mine = registry.storedViews('demo').map((view) => ({
      name: view.name,
      ttl: view.ttlSeconds,
      features: view.features.map(({ name, type }) => [name, VALUE_TYPE_NUMBERS[type.valueType]]).sort(),
      keys: view.entityColumns.map(({ name, type }) => [name, VALUE_TYPE_NUMBERS[type.valueType]]),
    }))
    const number = ({ name, value_type }: { name: string; value_type: string }) => [
      name,
      VALUE_TYPE_NUMBERS[value_type as never] ?? Number(value_type),
    ]
    expect(mine).toEqual(
      specs.map(({ spec }) => {
        const keys = (spec.entity_columns ?? []).map(number)
        const names = keys.map(([name]) => name)
        return {
          name: spec.name,
          ttl: Number.parseFloat(spec.ttl ?? '0s'),
          features: (spec.features ?? [])
            .map(number)
            .filter(([name]) => !names.includes(name))
            .sort(),
          keys,
        }
      }),
    )
  })

  describe('point-in-time joins', () => {
    const comparison = new Comparison('historical')
    it.each(HISTORICAL_REQUESTS)('$name', async (request) => {
      await compareHistorical(comparison, feast(), store, repo, data, request)
      comparison.check()
    })
    it('every listed difference occurred', () => comparison.finish())
  })

  it('materializes the same rows, byte for byte', async () => {
    const copy = temporaryFolder('compat-python-first-copy')
    cpSync(repo, copy, { recursive: true })
    rmSync(join(copy, 'data/online.db'))
    const ours = await openOurs(copy)
    try {
      const report = await ours.materialize({
        mode: 'range',
        start: data.at(-48),
        end: data.at(240),
        views: MATERIALIZED,
      })
      expect(report.views.map(({ view, outcome, error }) => ({ view, outcome, error }))).toEqual(
        MATERIALIZED.map((view) => ({ view, outcome: 'done', error: undefined })),
      )
    } finally {
      await ours.close()
    }
    const comparison = new Comparison('materialize')
    const theirs = sqliteRows(join(repo, 'data/online.db'))
    const mine = sqliteRows(join(copy, 'data/online.db'))
    for (const view of MATERIALIZED) {
      const table = `demo_${view}`
      expect(Object.keys(theirs[table]!).length).toBeGreaterThan(0)
      comparison.same(`${table}: keys`, Object.keys(theirs[table]!).sort(), Object.keys(mine[table]!).sort())
      for (const [key, row] of Object.entries(theirs[table]!)) {
        for (const [column, value] of Object.entries(row)) {
          comparison.same(`${table}: ${key}: ${column}`, value, mine[table]![key]?.[column])
        }
      }
    }
    comparison.finish()
    const tables = new Set(MATERIALIZED.map((view) => `demo_${view}`))
    const made = (file: string) =>
      sqliteSchema(file).filter((sql) => tables.has(/"([^"]+)"/.exec(sql)?.[1] ?? ''))
    expect(made(join(copy, 'data/online.db'))).toEqual(made(join(repo, 'data/online.db')))
  })

  it('reads values of every type that Feast wrote, and writes the same rows', async () => {
    const values = everyType.features.flatMap(({ name, type }) => {
      const value = COMPOSITES[name] ?? randomValue(random, type)
      return value ? [{ name, type, value }] : []
    })
    const encoded = await feast().call<string[][]>('values', {
      items: values.map(({ type, value }) => [type.valueType, [value.tagged]]),
    })
    const cells = Object.fromEntries(values.map(({ name }, i) => [name, encoded[i]![0]]))
    const event = data.at(5)
    await feast().call('write_cells', {
      repo,
      view: 'every_type',
      rows: [[{ driver_id: { int64_val: '7' } }, cells, String(event), String(event + 1_000_000n)]],
    })
    const before = sqliteRows(join(repo, 'data/online.db'))['demo_every_type']!

    const copy = temporaryFolder('compat-python-first-types')
    cpSync(repo, copy, { recursive: true })
    emptyTable(join(copy, 'data/online.db'), 'demo_every_type')
    const ours = await openOurs(copy)
    try {
      const result = await ours.writeToOnlineStore('every_type', {
        fields: [
          { name: 'driver_id', type: { valueType: 'INT64' }, description: '', tags: {} },
          { name: 'event_timestamp', type: { valueType: 'UNIX_TIMESTAMP' }, description: '', tags: {} },
          ...everyType.features,
        ],
        columns: [
          [7n],
          [event],
          ...everyType.features.map(({ name }) => [
            values.find((one) => one.name === name)?.value.cell ?? null,
          ]),
        ],
        rowCount: 1,
      })
      expect(result).toEqual({ rows: 1, skipped: 0 })
    } finally {
      await ours.close()
    }
    const after = sqliteRows(join(copy, 'data/online.db'))['demo_every_type']!
    const written = Object.entries(before).filter(([key]) => key.includes(`${DRIVER_7}/`))
    expect(written.length).toBe(values.length)
    for (const [key, row] of written) {
      const map = /\/f_(map|struct)/.test(key)
      // Map entries have no order; their cells are compared by value in the values suite. Our write has no created time.
      const comparable = ({ value, value_text, event_ts }: Record<string, unknown>) =>
        map ? { length: String(value).length, value_text, event_ts } : { value, value_text, event_ts }
      expect([key, comparable(after[key]!)]).toEqual([key, comparable(row)])
    }
  })

  it('rewrites the registry: every other record stays byte for byte, unknown fields too', async () => {
    const before = (await store.refreshRegistry()).records
    const listed = await feast().call<Record<string, object>>('list', { repo })
    await store.apply(repoOf(oursOnly, 'addition.ts'))
    const after = new Map(
      (await store.refreshRegistry()).records.map((record) => [recordKeyText(record), record.bytes]),
    )
    for (const record of before) {
      expect([recordKeyText(record), hex(after.get(recordKeyText(record)))]).toEqual([
        recordKeyText(record),
        hex(record.bytes),
      ])
    }
    const again = await feast().call<Record<string, Record<string, object>>>('list', { repo })
    for (const [kind, objects] of Object.entries(listed)) {
      expect(comparable(again[kind] as Json)).toMatchObject(comparable(objects as Json) as object)
    }
    expect(Object.keys(again['feature_views']!)).toContain('added_by_typescript')
    const raw = Buffer.from(await readRegistry(repo)).toString('hex')
    expect(raw.split(UNKNOWN_FIELD).length).toBeGreaterThan(10)
  })
})

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('hex')
}

async function readRegistry(repo: string): Promise<Uint8Array> {
  const { readFile } = await import('node:fs/promises')
  return readFile(join(repo, 'data/registry.db'))
}
