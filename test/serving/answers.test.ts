import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  entity,
  Float32,
  Float64,
  featureView,
  fileSource,
  Int64,
  onDemandFeatureView,
  pick,
  String as Text,
} from 'feast-node'
import protobuf from 'protobufjs'
import { encodeEntityKey } from '../../src/codec/entity-key.js'
import { floorSeconds, timestampText } from '../../src/codec/timestamp.js'
import { encodeValue } from '../../src/codec/value.js'
import { valueJson } from '../../src/codec/value-json.js'
import { loadRepoConfig } from '../../src/config/repo-config.js'
import type { Cell } from '../../src/core/cell.js'
import { FIELD_STATUSES } from '../../src/core/field-status.js'
import type { FeastType } from '../../src/core/value-type.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import type { OnlineRequest, OnlineServing } from '../../src/serving/online-serving.js'
import { type Random, seededRandom } from '../compat/random.js'

const root = new protobuf.Root()
root.resolvePath = (_from, path) => (path.startsWith('google/') ? path : `protos/${path}`)
root.loadSync('feast/serving/ServingService.proto')
const Response = root.lookupType('feast.serving.GetOnlineFeaturesResponse')
const Value = root.lookupType('feast.types.Value')

const TYPES: readonly FeastType[] = [Int64, Float64, Float32, Text]
const SCHEMA = { whole: Int64, amount: Float64, rate: Float32, note: Text }
const FEATURES = Object.keys(SCHEMA)
const VIEWS = ['a', 'b', 'c', 'd']
const USERS = 40

const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
const shop = entity({ name: 'shop', joinKey: 'shop_id', valueType: Int64 })
const source = fileSource({ name: 'rows', path: 'rows.parquet', timestampField: 'event_timestamp' })
const views = VIEWS.map((name, index) =>
  featureView({
    name,
    entities: [index === 3 ? shop : user],
    ttl: index === 0 ? '1h' : '0s',
    schema: SCHEMA,
    source,
  }),
)
const doubled = onDemandFeatureView({
  name: 'doubled',
  sources: [pick(views[0]!, 'whole')],
  schema: { twice: Int64 },
  transform: ({ whole }) => ({ twice: typeof whole === 'bigint' ? BigInt.asIntN(64, 2n * whole) : null }),
})
const definitions = [user, shop, source, ...views, doubled]
const repo = {
  definitions: definitions.map((definition) => ({
    definition,
    file: 'repo.ts',
    exportName: definition.name,
  })),
}

let folder: string
let store: FeatureStore
let serving: OnlineServing
const random = seededRandom('answers')

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-answers-'))
  writeFileSync(
    join(folder, 'feature_store.yaml'),
    'project: wallet\nregistry: registry.db\nprovider: local\nonline_store: { type: sqlite, path: online.db }\n',
  )
  store = openFeatureStore(await loadRepoConfig({ chdir: folder }), { loadFeatureRepo: async () => repo })
  await store.apply(repo, { skipSourceValidation: true })
  const online = await store.onlineStore()
  for (const view of views) {
    const joinKey = view.entities[0] === 'shop' ? 'shop_id' : 'user_id'
    const rows = random.times(USERS, (id) => ({
      entityKey: encodeEntityKey([{ name: joinKey, type: Int64 }], [BigInt(id)], 3),
      values: TYPES.map((type) => encodeValue(type, cellOf(type, random))),
      eventTimestamp: BigInt(Date.now() - random.int(0, 7_200_000)) * 1000n,
      createdTimestamp: null,
    }))
    const kept = rows.filter(() => random.chance(0.9))
    await online.write({ table: { name: view.name, joinKeys: [joinKey], features: FEATURES }, rows: kept })
  }
  serving = await store.serving()
})
afterAll(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

function cellOf({ valueType }: FeastType, from: Random): Cell {
  if (from.chance(0.1)) return null
  if (valueType === 'INT64') return BigInt.asIntN(64, from.bits(from.pick([8, 30, 60, 64])))
  if (valueType === 'STRING') return from.pick(['', 'text', 'a "quoted" one', 'päivää 🎈', 'x'.repeat(300)])
  const number = from.pick([from.int(-1000, 1000), from.next(), from.int(0, 1e9) / 1000, from.next() * 1e300])
  return valueType === 'FLOAT' ? Math.fround(number % 1e30) : number
}

/** Any features in any order, for entities that are there, are not there, or are asked for twice. */
function anyRequest(from: Random): OnlineRequest {
  const all = [...VIEWS.flatMap((view) => FEATURES.map((name) => `${view}:${name}`)), 'doubled:twice']
  const features = all.map((ref) => ({ ref, order: from.next() })).sort((a, b) => a.order - b.order)
  const rowCount = from.pick([1, 1, 2, 7, 150, 300])
  const ids = () => from.times(rowCount, () => from.int(0, USERS + 3))
  return {
    features: features.slice(0, from.int(1, all.length)).map(({ ref }) => ref),
    entities: { user_id: ids(), shop_id: ids() },
    fullFeatureNames: true,
  }
}

type Columns = Awaited<ReturnType<OnlineServing['getOnlineFeatures']>>['columns']

function typeOf(name: string): FeastType {
  return (SCHEMA as Readonly<Record<string, FeastType>>)[name.split('__').at(-1)!] ?? Int64
}

/** The answer written from decoded values, one after another. */
function plainJson(columns: Columns): string {
  const results = columns.map(({ name, values, statuses, eventTimestamps }) => {
    const texts = values.map((cell) => valueJson(encodeValue(typeOf(name), cell)))
    const times = eventTimestamps.map((micros) => `"${timeText(micros)}"`)
    return `{"values":[${texts}],"statuses":[${statuses.map((one) => `"${one}"`)}],"event_timestamps":[${times}]}`
  })
  const names = columns.map(({ name }) => JSON.stringify(name))
  return `{"results":[${results}],"metadata":{"feature_names":[${names}]}}`
}

function timeText(micros: bigint): string {
  const seconds = floorSeconds(micros)
  return timestampText({ seconds: Number(seconds), nanos: Number(micros - seconds * 1_000_000n) * 1000 })
}

function plainProto(columns: Columns): Buffer {
  const message = {
    metadata: { featureNames: { val: columns.map(({ name }) => name) } },
    results: columns.map(({ name, values, statuses, eventTimestamps }) => ({
      values: values.map((cell) => Value.decode(encodeValue(typeOf(name), cell))),
      statuses: statuses.map((status) => FIELD_STATUSES.indexOf(status)),
      eventTimestamps: eventTimestamps.map((micros) => {
        const seconds = floorSeconds(micros)
        const nanos = Number(micros - seconds * 1_000_000n) * 1000
        return { ...(seconds !== 0n && { seconds: Number(seconds) }), ...(nanos !== 0 && { nanos }) }
      }),
    })),
  }
  return Buffer.from(Response.encode(Response.fromObject(message)).finish())
}

describe('answers', () => {
  it('are the bytes that the plain way gives, JSON and protobuf', async () => {
    const seen = new Set<string>()
    for (let round = 0; round < 60; round++) {
      const request = anyRequest(random)
      const { columns } = await serving.getOnlineFeatures(request)
      for (const { statuses } of columns) for (const status of statuses) seen.add(status)
      const [json, message] = [
        await serving.answer(request, 'json'),
        await serving.answer(request, 'protobuf'),
      ]
      expect(json.body.toString()).toBe(plainJson(columns))
      expect(message.body.equals(plainProto(columns))).toBe(true)
      json.release()
      message.release()
    }
    expect([...seen].sort()).toEqual(['NOT_FOUND', 'NULL_VALUE', 'OUTSIDE_MAX_AGE', 'PRESENT'])
  })

  it('stay as they are until they are released, also where one is released twice', async () => {
    const held: { body: Buffer; copy: Buffer; release(): void }[] = []
    for (let round = 0; round < 300; round++) {
      const { body, release } = await serving.answer(anyRequest(random), random.pick(['json', 'protobuf']))
      held.push({ body, copy: Buffer.from(body), release })
      if (!random.chance(0.6)) continue
      const [gone] = held.splice(random.int(0, held.length - 1), 1)
      expect(gone!.body.equals(gone!.copy)).toBe(true)
      gone!.release()
      if (random.chance(0.3)) gone!.release()
    }
    expect(held.length).toBeGreaterThan(50)
    for (const { body, copy } of held) expect(body.equals(copy)).toBe(true)
  })
})
