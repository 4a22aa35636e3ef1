import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { entityKeyEncoder } from '../../src/codec/entity-key.js'
import { encodeTimestamp } from '../../src/codec/timestamp.js'
import { encodeValue } from '../../src/codec/value.js'
import type { Cell } from '../../src/core/cell.js'
import { silentLogger } from '../../src/core/logger.js'
import type { ValueType } from '../../src/core/value-type.js'
import { openOnlineStore } from '../../src/online-stores/index.js'
import type { OnlineStore, OnlineTable } from '../../src/online-stores/online-store.js'
import { readCells } from '../online-stores/read-cells.js'
import { hasRedis, NO_REDIS, RedisServer } from '../redis-server.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type Random, seededRandom } from './random.js'
import { describeWithRealFeast } from './real-feast.js'

const TABLE: OnlineTable = {
  name: 'driver_stats',
  joinKeys: ['driver_id', 'city'],
  features: ['conv_rate', 'trips', 'name', 'flag', 'tags'],
}
const TYPES: readonly ValueType[] = ['FLOAT', 'INT64', 'STRING', 'BOOL', 'STRING_LIST']

const DEFINITIONS = `
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Array, Bool, Float32, Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
city = Entity(name="city", join_keys=["city"], value_type=ValueType.STRING)
source = FileSource(name="source", path="data/none.parquet", timestamp_field="event_timestamp")
driver_stats = FeatureView(
    name="driver_stats", entities=[driver, city], source=source,
    schema=[Field(name="driver_id", dtype=Int64), Field(name="city", dtype=String),
            Field(name="conv_rate", dtype=Float32), Field(name="trips", dtype=Int64), Field(name="name", dtype=String),
            Field(name="flag", dtype=Bool), Field(name="tags", dtype=Array(String))],
)
`

interface Written {
  readonly id: number
  readonly at: bigint
  readonly cells: readonly Buffer[]
}

const cityOf = (id: number) => ['', 'Zürich', 'a*b'][id % 3]!
const encodeKey = entityKeyEncoder(
  [
    { name: 'driver_id', type: { valueType: 'INT64' } },
    { name: 'city', type: { valueType: 'STRING' } },
  ],
  3,
)
const keyOf = (id: number) => encodeKey([BigInt(id), cityOf(id)])

function randomCells(random: Random): readonly Buffer[] {
  const cells: readonly Cell[] = [
    random.int(-1000, 1000) / 8,
    random.bits(62) - 2n ** 61n,
    random.pick(['', 'ann', 'Ö\u{1F600}', 'x'.repeat(300)]),
    random.chance(0.5),
    random.times(random.int(0, 3), (i) => `tag${i}`),
  ]
  return cells.map((cell, i) => encodeValue({ valueType: TYPES[i]! }, random.chance(0.15) ? null : cell))
}

if (!hasRedis) {
  it.skip(`Redis shared with real Feast [skipped: ${NO_REDIS}]`, () => {})
} else {
  describeWithRealFeast('Redis shared with real Feast', (feast) => {
    let server: RedisServer
    let ours: OnlineStore
    let repo: string

    beforeAll(async () => {
      server = await RedisServer.start()
      repo = temporaryFolder('compat-redis')
      mkdirSync(join(repo, 'data'))
      writeFileSync(join(repo, 'definitions.py'), DEFINITIONS)
      writeFileSync(
        join(repo, 'feature_store.yaml'),
        `project: demo\nprovider: local\nregistry: data/registry.db\nentity_key_serialization_version: 3\nonline_store:\n  type: redis\n  connection_string: ${server.address}\n`,
      )
      await feast().call('apply', { repo })
      ours = await openOnlineStore(
        { type: 'redis', options: { connection_string: server.address } },
        { project: 'demo', repoPath: repo, entityKeyVersion: 3, logger: silentLogger },
      )
    }, 120_000)
    afterAll(async () => {
      await ours?.close()
      await server?.stop()
    })

    const writeOurs = (rows: readonly Written[]) =>
      ours.write({
        table: TABLE,
        rows: rows.map(({ id, at, cells }) => ({
          entityKey: keyOf(id),
          values: cells,
          eventTimestamp: at,
          createdTimestamp: null,
        })),
      })

    const writeTheirs = (rows: readonly Written[]) =>
      feast().call('write_cells', {
        repo,
        view: TABLE.name,
        rows: rows.map(({ id, at, cells }) => [
          { driver_id: { int64_val: String(id) }, city: { string_val: cityOf(id) } },
          Object.fromEntries(TABLE.features.map((name, i) => [name, cells[i]!.toString('hex')])),
          String(at),
          null,
        ]),
      })

    it('both write in turn, both read the same, and it is the newest', async () => {
      const random = seededRandom('shared Redis')
      const model = new Map<number, Written>()
      for (let round = 0; round < 60; round++) {
        const rows = random.times(random.int(1, 6), () => ({
          id: random.int(0, 8),
          at: 1_785_578_400_000_000n + BigInt(random.int(-4, 4)) * 250_001n,
          cells: randomCells(random),
        }))
        await (random.chance(0.5) ? writeOurs(rows) : writeTheirs(rows))
        for (const row of rows) {
          const known = model.get(row.id)
          if (known === undefined || row.at > known.at) model.set(row.id, row)
        }
      }
      const ids = [...model.keys()]
      const shape = {
        features: TABLE.features.map((feature) => ({ view: TABLE.name, feature })),
        views: [TABLE.name],
      }
      const found = await readCells(ours, shape, ids.map(keyOf))
      expect(found.map((row) => row.map((cell) => cell?.toString('hex')))).toEqual(
        ids.map((id) => {
          const { cells, at } = model.get(id)!
          return [...cells, encodeTimestamp(at)].map((cell) => cell.toString('hex'))
        }),
      )
      const theirs = await feast().call<Record<string, { values: string[]; times: string[] }>>('online', {
        repo,
        features: TABLE.features.map((feature) => `${TABLE.name}:${feature}`),
        entities: ids.map((id) => ({ driver_id: id, city: cityOf(id) })),
      })
      for (const [i, feature] of TABLE.features.entries()) {
        expect(theirs[feature]!.values).toEqual(ids.map((id) => model.get(id)!.cells[i]!.toString('hex')))
        expect(theirs[feature]!.times).toEqual(ids.map((id) => String(model.get(id)!.at)))
      }
    }, 120_000)

    it('what we delete is gone for Feast as well', async () => {
      const row = { id: 3, at: 1n, cells: randomCells(seededRandom('deleted row')) }
      await writeTheirs([row])
      await ours.teardown([TABLE])
      expect(await server.call('DBSIZE')).toBe(0)
    })
  })
}
