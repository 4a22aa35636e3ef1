import { cpSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { freePort } from '../free-port.js'
import { temporaryFolder } from '../temporary-folder.js'
import { TYPESCRIPT } from './both-servers.js'
import { Comparison } from './differences.js'
import { everyType } from './fixture.js'
import { FixtureData } from './fixture-data.js'
import { intKeyHex } from './int-key-hex.js'
import { type OurServer, serveOurs } from './our-feast.js'
import { seededRandom } from './random.js'
import { describeWithRealFeast, type RealFeast } from './real-feast.js'
import { sqliteRows } from './sqlite-rows.js'

const HERE = dirname(fileURLToPath(import.meta.url))

/** A Value message as JSON. */
type ValueJson = Readonly<Record<string, unknown>>
type Columns = Readonly<Record<string, readonly ValueJson[]>>

interface Lookup {
  readonly name: string
  readonly features?: readonly string[]
  readonly service?: string
  readonly entities?: Columns
  readonly context?: Columns
  readonly full?: boolean
  readonly versions?: boolean
}

interface Column {
  readonly values: readonly string[]
  readonly statuses: readonly string[]
  readonly times: readonly string[]
}

interface Outcome {
  readonly result?: {
    readonly names: readonly string[]
    readonly versions: readonly unknown[]
    readonly columns: readonly Column[]
  }
  readonly code?: string | number
  readonly details?: string
  readonly class?: string | null
}

const int = (...values: number[]) => values.map((value) => ({ int64_val: String(value) }))
const text = (...values: string[]) => values.map((value) => ({ string_val: value }))
const of = (view: string, names: readonly string[]) => names.map((name) => `${view}:${name}`)

const LOOKUPS: readonly Lookup[] = [
  {
    name: 'one view',
    features: of('driver_stats', ['conv_rate', 'trips', 'nickname', 'photo', 'labels', 'last_seen']),
    entities: { driver_id: int(1001, 1002, 9999, 1001) },
  },
  { name: 'full names', features: ['driver_stats:trips'], entities: { driver_id: int(1001) }, full: true },
  {
    name: 'every type',
    features: of(
      'every_type',
      everyType.features.map(({ name }) => name),
    ),
    entities: { driver_id: int(1001, 1002, 1003, 1004, 9999) },
  },
  {
    name: 'two join keys',
    features: ['pair_stats:score'],
    entities: { driver_id: int(1001, 1001), customer_id: text('ünïcode', 'zzz') },
  },
  {
    name: 'views with different keys',
    features: ['driver_stats:trips', 'loc_stats:temp'],
    entities: { driver_id: int(1001, 1), location_id: int(1, 2) },
  },
  {
    name: 'a view without entity',
    features: ['global_stats:total', 'driver_stats:trips'],
    entities: { driver_id: int(1001) },
  },
  {
    name: 'stale, null and missing',
    features: ['loc_stats:temp', 'loc_stats:rain'],
    entities: { location_id: int(1, 2, 3, 4) },
  },
  { name: 'a service', service: 'service', entities: { driver_id: int(1001), location_id: int(9) } },
  {
    name: 'aliases',
    service: 'service_alias',
    entities: { origin_id: int(1, 2), dest_id: int(3, 1) },
    full: true,
  },
  {
    name: 'a key of a smaller type',
    features: ['driver_stats:trips'],
    entities: { driver_id: [{ int32_val: 1001 }] },
  },
  { name: 'no rows', features: ['driver_stats:trips'], entities: { driver_id: [] } },
  // Mistakes.
  { name: 'unknown view', features: ['nope:trips'], entities: { driver_id: int(1) } },
  { name: 'unknown feature', features: ['driver_stats:nope'], entities: { driver_id: int(1) } },
  { name: 'unknown service', service: 'nope', entities: { driver_id: int(1) } },
  { name: 'no features', features: [], entities: { driver_id: int(1) } },
  { name: 'no colon', features: ['trips'], entities: { driver_id: int(1) } },
  { name: 'no entities', features: ['driver_stats:trips'], entities: {} },
  { name: 'no join key', features: ['driver_stats:trips'], entities: { customer_id: text('a') } },
  { name: 'words for a number', features: ['driver_stats:trips'], entities: { driver_id: text('abc') } },
  { name: 'null key', features: ['driver_stats:trips'], entities: { driver_id: [{}] } },
  {
    name: 'lengths',
    features: ['pair_stats:score'],
    entities: { driver_id: int(1, 2), customer_id: text('a') },
  },
  {
    name: 'name collision',
    features: ['driver_stats:trips', 'stream_stats:trips'],
    entities: { driver_id: int(1) },
  },
]

/** Our server over HTTP and gRPC and Feast's own gRPC server, each on its own copy of a repo. */
class Servers {
  theirRepo = ''
  ourRepo = ''
  private theirPort = 0
  private ours: OurServer | undefined

  constructor(
    private readonly feast: () => RealFeast,
    readonly data: FixtureData,
  ) {}

  async start(): Promise<void> {
    this.theirRepo = temporaryFolder('compat-messages-theirs')
    this.ourRepo = temporaryFolder('compat-messages-ours')
    await this.data.makeRepo(this.theirRepo, this.feast())
    await TYPESCRIPT.apply(this.feast(), this.theirRepo)
    await TYPESCRIPT.materialize(this.feast(), this.theirRepo, this.data)
    cpSync(this.theirRepo, this.ourRepo, { recursive: true })
    // Computes the on demand view that it defines.
    cpSync(join(HERE, 'fixture.ts'), join(this.ourRepo, 'fixture.ts'))
    this.theirPort = await freePort()
    await this.feast().call('serving', { call: 'serve', repo: this.theirRepo, port: this.theirPort })
    this.ours = await serveOurs(this.ourRepo, { grpc: true })
  }

  async stop(): Promise<void> {
    await this.ours?.stop()
    if (this.theirPort !== 0) await this.feast().call('serving', { call: 'stop', port: this.theirPort })
  }

  theirs<Result = Outcome>(call: string, args: object = {}): Promise<Result> {
    return this.feast().call<Result>('serving', { call, port: this.theirPort, ...args })
  }

  /** By gRPC. */
  call<Result = Outcome>(call: string, args: object = {}): Promise<Result> {
    return this.feast().call<Result>('serving', { call, port: this.ours!.grpcPort, ...args })
  }

  http<Result = Outcome>(call: string, args: object = {}): Promise<Result> {
    return this.feast().call<Result>('serving', { call, port: this.ours!.port, ...args })
  }
}

function compareOutcomes(comparison: Comparison, name: string, theirs: Outcome, ours: Outcome): void {
  comparison.same(`${name}: code`, theirs.code ?? 'OK', ours.code ?? 'OK')
  if (!theirs.result || !ours.result) return
  comparison.same(`${name}: names`, [...theirs.result.names].sort(), [...ours.result.names].sort())
  for (const [index, column] of ours.result.names.entries()) {
    const [our, their] = [ours.result, theirs.result].map(
      (table) => table.columns[table.names.indexOf(column)],
    )
    for (const [row, value] of our!.values.entries()) {
      const where = `${name}: ${column || index}[${row}]`
      comparison.same(`${where}: value`, their?.values[row], value)
      comparison.same(`${where}: status`, their?.statuses[row], our!.statuses[row])
      comparison.same(`${where}: time`, their?.times[row], our!.times[row])
    }
  }
}

describeWithRealFeast('Feast’s own messages: gRPC and HTTP, from Python', (feast) => {
  const servers = new Servers(feast, new FixtureData(seededRandom('messages')))
  beforeAll(() => servers.start(), 180_000)
  afterAll(() => servers.stop())

  describe('lookups', () => {
    const comparison = new Comparison('grpc')
    it.each(LOOKUPS)('$name', async ({ name, ...request }) => {
      const theirs = await servers.theirs('feature_server', { request })
      const ours = await servers.call('serving', { request })
      compareOutcomes(comparison, name, theirs, ours)
      comparison.check()
      expect(await servers.call('feature_server', { request })).toEqual(ours)
      const { result, class: raised } = await servers.http('over_http', { request })
      expect({ result, class: raised }).toEqual({ result: ours.result, class: ours.class })
      if (ours.code !== undefined) expect(ours.class).toMatch(/^[A-Z]\w+$/)
    })
    it('every listed difference occurred', () => comparison.finish())
  })

  describe('requests', () => {
    const request = { features: ['driver_stats:trips'], entities: { driver_id: int(1001, 9999) } }

    it('computes on demand views from the request context, or from the entities', async () => {
      const name = 'trips_plus_typescript_only:trips_sum'
      const lookups = [
        { features: [name], entities: { driver_id: int(1001) }, context: { bonus: int(5) } },
        { features: [name], entities: { driver_id: int(1001), bonus: int(5) } },
      ]
      const [first, second] = await Promise.all(
        lookups.map((lookup) => servers.call('serving', { request: lookup })),
      )
      expect(first!.result!.names).toContain('trips_sum')
      expect(first!.result!.columns.map(({ values }) => values.length)).toEqual(
        first!.result!.columns.map(() => 1),
      )
      expect(first!.result!.columns.at(-1)).toEqual(second!.result!.columns.at(-1))
      const missing = await servers.call('serving', {
        request: { features: [name], entities: { driver_id: int(1001) } },
      })
      expect(missing).toMatchObject({ code: 'NOT_FOUND', class: 'RequestDataNotFoundInEntityRowsException' })
    })

    it('names the views and versions of an answer when asked, as Feast’s SDK does', async () => {
      const lookup = {
        features: ['driver_stats:trips', 'loc_stats:temp'],
        entities: { driver_id: int(1001), location_id: int(1) },
      }
      const plain = await servers.call('serving', { request: lookup })
      const ours = await servers.call('serving', { request: { ...lookup, versions: true } })
      const theirs = await feast().call<readonly unknown[]>('view_versions', {
        repo: servers.theirRepo,
        features: lookup.features,
        entities: { driver_id: [1001], location_id: [1] },
      })
      expect(plain.result!.versions).toEqual([])
      expect(ours.result!.versions).toEqual(theirs)
      expect(ours.result!.columns).toEqual(plain.result!.columns)
    })

    it('survives calls whose deadline is over, and answers those with time left', async () => {
      for (let i = 0; i < 20; i++) {
        const late = await servers.call('serving', { request, timeout: 0.0001 * i })
        if (late.code !== undefined) expect(late.code).toBe('DEADLINE_EXCEEDED')
      }
      expect((await servers.call('serving', { request })).code).toBeUndefined()
    })

    it('refuses what is no message, and methods that are not there', async () => {
      expect((await servers.call('garbage')).code).toBe('INVALID_ARGUMENT')
      expect((await servers.call('unknown_method')).code).toBe('UNIMPLEMENTED')
      expect((await servers.http<{ status: number }>('raw_http', { body_hex: 'ffffff' })).status).toBe(400)
      expect(await servers.call('info')).toMatchObject({ result: { version: expect.any(String) } })
    })

    it('answers JSON with a message, and a message with JSON, as the client accepts', async () => {
      const json = { features: request.features, entities: { driver_id: [1001, 9999] } }
      const accept = 'application/x-protobuf'
      const message = await servers.http<{ result: object; type: string }>('over_http', {
        request: {},
        json,
        accept,
      })
      expect(message.type).toBe('application/x-protobuf')
      expect(message.result).toEqual((await servers.http('over_http', { request })).result)
      const asJson = await servers.http<{ result: { metadata: object }; type: string }>('over_http', {
        request,
        accept: 'application/json',
      })
      expect(asJson.type).toBe('application/json')
      expect(asJson.result.metadata).toEqual({ feature_names: ['driver_id', 'trips'] })
    })
  })

  describe('writes', () => {
    const { data } = servers
    const comparison = new Comparison('grpc-writes')
    const iso = (hours: number) => new Date(Number(data.at(hours) / 1000n)).toISOString()
    const time = (hours: number) => ({ unix_timestamp_val: String(data.at(hours) / 1_000_000n) })
    const location = (id: number, at: ValueJson) => ({
      location_id: { int64_val: String(id) },
      event_timestamp: at,
      temp: { double_val: 1.25 },
      rain: {},
    })
    const driver = (id: number, hours: number) => ({
      driver_id: { int64_val: String(id) },
      event_timestamp: { string_val: iso(hours) },
      created: { string_val: iso(hours) },
      conv_rate: { float_val: 0.5 },
      acc_rate: { double_val: 0.1 },
      trips: { int64_val: '9007199254740993' },
      level: { int32_val: 3 },
      nickname: { string_val: 'Zoë' },
      active: { bool_val: true },
      last_seen: time(1),
      photo: { bytes_val: Buffer.from([0, 255]).toString('base64') },
      labels: { string_list_val: { val: ['a', 'b'] } },
      counts: { int64_list_val: { val: ['1', '2'] } },
      scores: { double_list_val: { val: [0.5] } },
    })
    const WRITES: readonly { name: string; call: string; args: object }[] = [
      { name: 'push', call: 'push', args: { source: 'driver_push', typed_features: driver(2001, 100) } },
      {
        name: 'push newer',
        call: 'push',
        args: { source: 'driver_push', typed_features: driver(2001, 101) },
      },
      { name: 'push to nobody', call: 'push', args: { source: 'nope', typed_features: driver(1, 1) } },
      {
        name: 'push to nowhere',
        call: 'push',
        args: { source: 'driver_push', typed_features: driver(1, 1), to: 'zzz' },
      },
      {
        name: 'push without a place',
        call: 'push',
        args: { source: 'driver_push', typed_features: driver(1, 1), to: '' },
      },
      {
        name: 'push both kinds',
        call: 'push',
        args: { source: 'driver_push', typed_features: driver(1, 1), features: { driver_id: '1' } },
      },
      {
        name: 'write',
        call: 'write',
        args: { view: 'loc_stats', typed_features: location(21, { string_val: iso(100) }) },
      },
      {
        name: 'write a time in seconds',
        call: 'write',
        args: { view: 'loc_stats', typed_features: location(24, time(100)) },
      },
      {
        name: 'write a time in nanoseconds',
        call: 'write',
        args: {
          view: 'loc_stats',
          typed_features: location(25, { int64_val: String(data.at(100) * 1000n) }),
        },
      },
      {
        name: 'write texts',
        call: 'write',
        args: {
          view: 'loc_stats',
          features: { location_id: '23', event_timestamp: iso(100), temp: '1.5', rain: '2' },
        },
      },
      {
        name: 'write to nobody',
        call: 'write',
        args: { view: 'nope', typed_features: location(1, time(1)) },
      },
      {
        name: 'write without a feature',
        call: 'write',
        args: {
          view: 'loc_stats',
          typed_features: { location_id: { int64_val: '1' }, event_timestamp: time(1) },
        },
      },
    ]

    it.each(WRITES)('$name', async ({ name, call, args }) => {
      const [theirs, ours] = [await servers.theirs(call, args), await servers.call(call, args)]
      comparison.same(`${name}: code`, theirs.code ?? 'OK', ours.code ?? 'OK')
      if (theirs.code === undefined && ours.code === undefined)
        comparison.same(`${name}: result`, theirs.result, ours.result)
      expect(['INTERNAL', 'UNKNOWN']).not.toContain(ours.code)
      comparison.check()
    })

    it('both SQLite files hold the same rows afterwards', () => {
      const [theirs, ours] = [servers.theirRepo, servers.ourRepo].map((repo) =>
        sqliteRows(join(repo, 'data/online.db')),
      )
      const writes = [
        [23, 'write texts'],
        [24, 'write a time in seconds'],
        [25, 'write a time in nanoseconds'],
      ] as const
      for (const table of ['demo_driver_stats', 'demo_loc_stats']) {
        const names = new Set([...Object.keys(theirs![table]!), ...Object.keys(ours![table]!)])
        for (const name of names) {
          const write = writes.find(([id]) => name.includes(intKeyHex(id)))?.[1]
          comparison.same(`${write ?? `${table} ${name}`}: row`, theirs![table]![name], ours![table]![name])
        }
      }
      comparison.check()
    })

    it('every listed difference occurred', () => comparison.finish())
  })

  describe('health and reflection', () => {
    it('is healthy, as a whole and by service', async () => {
      for (const service of ['', 'feast.serving.ServingService', 'GrpcFeatureServer']) {
        expect(await servers.call('health', { service })).toEqual({ result: { status: 'SERVING' } })
      }
      expect(await servers.call('health', { service: 'nope' })).toMatchObject({ code: 'NOT_FOUND' })
      expect(await servers.call('watch')).toEqual({ status: 'SERVING' })
      expect(await servers.call('watch', { service: 'nope' })).toEqual({ status: 'SERVICE_UNKNOWN' })
    })

    it('describes its services and messages as Feast defines them', async () => {
      const { services, all, differing } = await servers.call<{
        services: object
        all: readonly string[]
        differing: readonly string[]
      }>('reflect')
      expect(services).toEqual({
        'feast.serving.ServingService': ['GetFeastServingInfo', 'GetOnlineFeatures'],
        GrpcFeatureServer: ['GetOnlineFeatures', 'Push', 'WriteToOnlineStore'],
      })
      expect(differing).toEqual([])
      expect(await servers.call('reflect_v1')).toEqual(all)
    })

    it('serves a client that knows only what reflection tells', async () => {
      const answer = await servers.call<{ results: { values: object[]; statuses: string[] }[] }>('dynamic', {
        features: ['driver_stats:level'],
        driver_ids: [2001, 9999],
      })
      expect(answer.results[1]!.values).toEqual([{ int32_val: 3 }, {}])
      expect(answer.results[1]!.statuses).toEqual(['PRESENT', 'NOT_FOUND'])
    })
  })
})
