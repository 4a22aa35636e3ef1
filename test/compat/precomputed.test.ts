import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import '../../src/feature-store/precompute.js'
import '../../src/feature-store/precomputed-vectors.js'
import '../../src/online-stores/redis/index.js'
import { entityKeyEncoder } from '../../src/codec/entity-key.js'
import { redisField } from '../../src/codec/field-hash.js'
import { encodeTimestamp } from '../../src/codec/timestamp.js'
import { encodeValue } from '../../src/codec/value.js'
import { BYTES, eachField } from '../../src/codec/wire.js'
import type { Cell } from '../../src/core/cell.js'
import type { ValueType } from '../../src/core/value-type.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { hasRedis, NO_REDIS, RedisServer } from '../redis-server.js'
import { temporaryFolder } from '../temporary-folder.js'
import { openOurs } from './our-feast.js'
import { type Random, seededRandom } from './random.js'
import { describeWithRealFeast } from './real-feast.js'
import { redisRows } from './redis-rows.js'

const DEFINITIONS = `
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Array, Bool, Float32, Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
city = Entity(name="city", join_keys=["city"], value_type=ValueType.STRING)
source = FileSource(name="source", path="data/rows.parquet", timestamp_field="event_timestamp")
pushed = PushSource(name="pushed", batch_source=source)
keys = [Field(name="driver_id", dtype=Int64), Field(name="city", dtype=String)]
stats = FeatureView(
    name="stats", entities=[driver, city], source=pushed, ttl=timedelta(days=100000),
    schema=[*keys, Field(name="conv_rate", dtype=Float32), Field(name="trips", dtype=Int64),
            Field(name="name", dtype=String)],
)
more = FeatureView(
    name="more", entities=[driver, city], source=source, ttl=timedelta(0),
    schema=[*keys, Field(name="flag", dtype=Bool), Field(name="tags", dtype=Array(String)),
            Field(name="count", dtype=Int64)],
)
unrelated = FeatureView(
    name="unrelated", entities=[driver, city], source=source, schema=[*keys, Field(name="x", dtype=Int64)],
)
of_city = FeatureView(
    name="of_city", entities=[city], source=source, schema=[keys[1], Field(name="size", dtype=Int64)],
)
everybody = FeatureView(name="everybody", entities=[], source=source, schema=[Field(name="rate", dtype=Int64)])
svc = FeatureService(name="svc", features=[stats, more[["count", "flag", "tags"]]], precompute_online=True)
renamed = FeatureService(
    name="renamed", features=[more[["tags"]].with_name("aside"), stats], precompute_online=True,
)
global_svc = FeatureService(name="global_svc", features=[everybody], precompute_online=True)
mixed = FeatureService(name="mixed", features=[stats, of_city], precompute_online=True)
`

interface View {
  readonly features: readonly string[]
  readonly types: readonly ValueType[]
}
const VIEWS: Readonly<Record<string, View>> = {
  stats: { features: ['conv_rate', 'trips', 'name'], types: ['FLOAT', 'INT64', 'STRING'] },
  more: { features: ['flag', 'tags', 'count'], types: ['BOOL', 'STRING_LIST', 'INT64'] },
  unrelated: { features: ['x'], types: ['INT64'] },
  everybody: { features: ['rate'], types: ['INT64'] },
}
/** Full names and references of a service's features, in its order. */
const SERVICES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  svc: [
    ['stats__conv_rate', 'stats:conv_rate'],
    ['stats__trips', 'stats:trips'],
    ['stats__name', 'stats:name'],
    ['more__count', 'more:count'],
    ['more__flag', 'more:flag'],
    ['more__tags', 'more:tags'],
  ],
  renamed: [
    ['aside__tags', 'more:tags'],
    ['stats__conv_rate', 'stats:conv_rate'],
    ['stats__trips', 'stats:trips'],
    ['stats__name', 'stats:name'],
  ],
}

const SIZE = encodeValue({ valueType: 'INT64' }, 400_000n)
const T0 = 1_785_578_400_000_000n
const cityOf = (id: number) => ['', 'Zürich', 'a*b'][id % 3]!
const encodeKey = entityKeyEncoder(
  [
    { name: 'driver_id', type: { valueType: 'INT64' } },
    { name: 'city', type: { valueType: 'STRING' } },
  ],
  3,
)
const redisKey = (id: number) => Buffer.concat([encodeKey([BigInt(id), cityOf(id)]), Buffer.from('demo')])
const vectorField = (service: string) => redisField(`__precomputed__${service}`, 'vector').toString('hex')

function randomCells(random: Random, { types }: View): readonly Buffer[] {
  const cell = (type: ValueType): Cell => {
    if (type === 'FLOAT') return random.int(-1000, 1000) / 8
    if (type === 'INT64') return random.bits(62) - 2n ** 61n
    if (type === 'STRING') return random.pick(['', 'ann', 'Ö\u{1F600}', 'x'.repeat(300)])
    return type === 'BOOL' ? random.chance(0.5) : random.times(random.int(0, 3), (i) => `tag${i}`)
  }
  return types.map((type) => encodeValue({ valueType: type }, random.chance(0.15) ? null : cell(type)))
}

/** The message of a stored vector: its fields, but for the time it was made. */
function vectorFields(value: string): readonly string[] {
  const bytes = Buffer.from(value, 'hex')
  const fields: string[] = []
  eachField(bytes, 0, bytes.length, (number, type, _start, messageStart, messageEnd) => {
    expect([number, type]).toEqual([1, BYTES])
    eachField(bytes, messageStart, messageEnd, (field, _type, start, _valueStart, end) => {
      if (field !== 4) fields.push(bytes.toString('hex', start, end))
    })
  })
  return fields
}

interface Column {
  readonly values: readonly string[]
  readonly statuses: readonly number[]
}

if (!hasRedis) {
  it.skip(`precomputed vectors shared with real Feast [skipped: ${NO_REDIS}]`, () => {})
} else {
  describeWithRealFeast('precomputed vectors shared with real Feast', (feast) => {
    const IDS = Array.from({ length: 40 }, (_, id) => id)
    let server: RedisServer
    let ours: FeatureStore
    let repo: string

    beforeAll(async () => {
      server = await RedisServer.start()
      repo = temporaryFolder('compat-precomputed')
      mkdirSync(join(repo, 'data'))
      writeFileSync(join(repo, 'definitions.py'), DEFINITIONS)
      writeFileSync(
        join(repo, 'feature_store.yaml'),
        `project: demo\nprovider: local\nregistry: data/registry.db\nentity_key_serialization_version: 3\nonline_store:\n  type: redis\n  connection_string: ${server.address}\n`,
      )
      await feast().call('apply', { repo })
      ours = await openOurs(repo)
      await fill(seededRandom('precomputed vectors'))
    }, 120_000)
    afterAll(async () => {
      await ours?.close()
      await server?.stop()
    })

    /** Every third entity has no row in one of the views, and the last one only in a view of no service. */
    async function fill(random: Random): Promise<void> {
      const last = IDS.length - 1
      const some = (rest: number) => IDS.filter((id) => id % 3 !== rest && id !== last)
      await write('stats', some(1), random)
      await write('more', some(2), random)
      await write('unrelated', [last], random)
      await feast().call('write_cells', {
        repo,
        view: 'everybody',
        rows: [[{ __dummy_id: { string_val: '' } }, cellsOf('everybody', random), String(T0), null]],
      })
      await feast().call('write_cells', {
        repo,
        view: 'of_city',
        rows: [[{ city: { string_val: cityOf(1) } }, { size: SIZE.toString('hex') }, String(T0), null]],
      })
    }

    const cellsOf = (view: string, random: Random) => {
      const cells = randomCells(random, VIEWS[view]!)
      return Object.fromEntries(VIEWS[view]!.features.map((name, i) => [name, cells[i]!.toString('hex')]))
    }

    const write = (view: string, ids: readonly number[], random: Random, at = T0) =>
      feast().call('write_cells', {
        repo,
        view,
        rows: ids.map((id) => [
          { driver_id: { int64_val: String(id) }, city: { string_val: cityOf(id) } },
          cellsOf(view, random),
          String(at + BigInt(random.int(0, 9)) * 250_001n),
          null,
        ]),
      })

    const entities = (ids: readonly number[]) => ids.map((id) => ({ driver_id: id, city: cityOf(id) }))
    const theirs = (service: string, ids: readonly number[]) =>
      feast().call<Record<string, Column>>('online', {
        repo,
        service,
        entities: entities(ids),
        full_feature_names: true,
      })
    const theirRows = (service: string, ids: readonly number[]) =>
      feast().call<Record<string, Column>>('online', {
        repo,
        features: SERVICES[service]!.map(([, ref]) => ref),
        entities: entities(ids),
        full_feature_names: true,
      })
    const answer = async (
      request: { featureService: string } | { features: string[] },
      ids: readonly number[],
    ) => {
      const columns = { driver_id: ids, city: ids.map(cityOf) }
      const serving = await ours.serving()
      const { body } = await serving.answer({ ...request, entities: columns, fullFeatureNames: true }, 'json')
      const { results } = JSON.parse(body.toString())
      return results.slice(2)
    }
    /** The service as we serve it, and its features read one by one, from the rows. */
    const both = async (service: string, ids: readonly number[]) => [
      await answer({ featureService: service }, ids),
      await answer({ features: SERVICES[service]!.map(([, ref]) => ref) }, ids),
    ]
    const vectorsOf = async (service: string) => {
      const found = Object.entries(await redisRows(server)).flatMap(([key, fields]) => {
        const vector = fields[vectorField(service)]
        return vector === undefined ? [] : [[key, vector] as const]
      })
      return Object.fromEntries(found)
    }

    describe.each(['svc', 'renamed', 'global_svc'])('%s', (service) => {
      it('has the same bytes, whoever made them', async () => {
        await feast().call('precompute', { repo, service })
        const python = await vectorsOf(service)
        expect(Object.keys(python).length).toBe(service === 'global_svc' ? 1 : IDS.length)
        const { services } = await ours.precompute({ services: [service] })
        // Feast also gives entities a vector that have no row in any view of the service.
        const made = service === 'global_svc' ? 1 : IDS.length - 1
        expect(services).toEqual([expect.objectContaining({ service, outcome: 'done', vectors: made })])
        const own = await vectorsOf(service)
        expect(Object.keys(own)).toEqual(Object.keys(python))
        for (const [key, vector] of Object.entries(own)) {
          expect(vectorFields(vector)).toEqual(vectorFields(python[key]!))
        }
        const changed = Object.keys(own).filter((key) => own[key] !== python[key])
        expect(changed).toHaveLength(made)
      })
    })

    describe.each(['svc', 'renamed'])('%s', (service) => {
      it('Feast reads ours', async () => {
        await ours.precompute({ services: [service] })
        const ids = IDS.slice(0, -1)
        const [vectors, rows] = [await theirs(service, ids), await theirRows(service, ids)]
        const names = SERVICES[service]!.map(([name, ref]) => [name, ref.replace(':', '__')] as const)
        for (const [name, plain] of names) expect(vectors[name]!.values).toEqual(rows[plain]!.values)
      })

      it('we read theirs as the rows that they were made from', async () => {
        await feast().call('precompute', { repo, service })
        const [vectors, rows] = await both(service, [...IDS, 999])
        expect(vectors).toEqual(rows)
      })
    })

    it('it is the vectors that we read', async () => {
      for (const maker of ['theirs', 'ours']) {
        if (maker === 'theirs') await feast().call('precompute', { repo, service: 'svc' })
        else await ours.precompute({ services: ['svc'] })
        const [before] = await both('svc', IDS)
        // The values go from the rows, their times stay.
        for (const id of IDS) await server.call('HDEL', redisKey(id), redisField('stats', 'trips'))
        const [vectors, rows] = await both('svc', IDS)
        expect(vectors).toEqual(before)
        expect(rows).not.toEqual(before)
        for (const id of IDS) await server.call('DEL', redisKey(id))
        await fill(seededRandom(`precomputed vectors, after ${maker}`))
      }
    })

    it('a row that came without its vector is read itself', async () => {
      await feast().call('precompute', { repo, service: 'svc' })
      const vectors = await vectorsOf('svc')
      await write('stats', IDS.slice(0, 20), seededRandom('newer rows'), T0 + 60_000_000n)
      expect(await vectorsOf('svc')).toEqual(vectors)
      const [service, rows] = await both('svc', IDS)
      expect(service).toEqual(rows)
      const stale = await theirs('svc', IDS)
      const newest = await theirRows('svc', IDS)
      expect(stale['stats__trips']!.values).not.toEqual(newest['stats__trips']!.values)
    })

    it('our pushes keep the vectors that Feast reads up to date', async () => {
      await ours.precompute()
      const type = (valueType: ValueType) => ({ valueType })
      await ours.push({
        pushSource: 'pushed',
        to: 'online',
        rows: {
          fields: [
            { name: 'driver_id', type: type('INT64') },
            { name: 'city', type: type('STRING') },
            { name: 'conv_rate', type: type('FLOAT') },
            { name: 'trips', type: type('INT64') },
            { name: 'name', type: type('STRING') },
            { name: 'event_timestamp', type: type('UNIX_TIMESTAMP') },
          ],
          columns: [[3n], [cityOf(3)], [0.5], [77n], ['pushed'], [T0 + 3_600_000_000n]],
          rowCount: 1,
        } as never,
      })
      const read = await theirs('svc', IDS.slice(0, -1))
      expect(read['stats__trips']!.values[3]).toBe(encodeValue(type('INT64'), 77n).toString('hex'))
      const renamed = await theirs('renamed', [3])
      expect(renamed['stats__name']!.values).toEqual([encodeValue(type('STRING'), 'pushed').toString('hex')])
      const written = (await redisRows(server))[redisKey(3).toString('hex')]!
      const vectorTime = written[Buffer.from('_ts:__precomputed__svc').toString('hex')]!
      expect(vectorTime > encodeTimestamp(0n).toString('hex')).toBe(true)
    })

    it('a service of several keys has no vectors of ours, and theirs are not used', async () => {
      await feast().call('precompute', { repo, service: 'mixed' })
      await expect(ours.precompute({ services: ['mixed'] })).rejects.toThrow(/looked up by different keys/)
      const columns = { driver_id: [1], city: [cityOf(1)] }
      const serving = await ours.serving()
      const { body } = await serving.answer({ featureService: 'mixed', entities: columns }, 'json')
      const { results, metadata } = JSON.parse(body.toString())
      // Feast looked of_city up by the driver's key, and found nothing.
      const size = results[metadata.feature_names.indexOf('size')]
      expect(size).toEqual(expect.objectContaining({ statuses: ['PRESENT'], values: [400_000] }))
    })
  })
}
