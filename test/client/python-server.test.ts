import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createFeastClient, type FeastClient, type OnlineFeatures } from 'feast-node/client'
import { clientSchema } from '../../src/cli/client-schema.js'
import type { ProjectSchema } from '../../src/client/project-schema.js'
import { BothServers, PYTHON } from '../compat/both-servers.js'
import { DRIVERS, FixtureData, LOCATIONS } from '../compat/fixture-data.js'
import { openOurs } from '../compat/our-feast.js'
import { seededRandom } from '../compat/random.js'
import { describeWithRealFeast } from '../compat/real-feast.js'
import { FlakyProxy } from './flaky-proxy.js'

describeWithRealFeast('the client of real `feast serve`', (feast) => {
  const data = new FixtureData(seededRandom('client of Python'))
  const servers = new BothServers(feast, data)
  let schema: ProjectSchema
  const clients: FeastClient[] = []
  beforeAll(async () => {
    await servers.start('client', PYTHON)
    const store = await openOurs(servers.ourRepo)
    schema = clientSchema({ registry: await store.registry(), project: 'demo', versioning: false })
    await store.close()
  }, 180_000)
  afterAll(async () => {
    for (const client of clients) client.close()
    await servers.stop()
  })

  const open = (
    options: { readonly schema?: ProjectSchema; readonly port?: number; readonly int64?: 'number' } = {},
  ) => {
    const { port = servers.theirPort, ...rest } = options
    const client = createFeastClient({ url: `http://127.0.0.1:${port}`, timeoutMs: 30_000, ...rest })
    clients.push(client as FeastClient)
    return client as FeastClient
  }

  it('gives with a schema what ours gives, value for value', async () => {
    const views = ['driver_stats', 'every_type'].filter((view) => schema.views[view])
    for (const view of views) {
      const features = Object.keys(schema.views[view]!.features).map((name) => `${view}:${name}`)
      const request = { features, entities: { driver_id: [...DRIVERS, 9999, 1001] } }
      const [theirs, mine] = await Promise.all(
        [servers.theirPort, servers.ourPort].map((port) => open({ schema, port }).getOnlineFeatures(request)),
      )
      expect(byName(theirs!)).toEqual(byName(mine!))
    }
  })

  it('looks up services, and views without entity', async () => {
    const request = {
      featureService: 'service',
      entities: DRIVERS.map((driver_id) => ({ driver_id, location_id: LOCATIONS[0]! })),
    }
    const [theirs, mine] = await Promise.all(
      [servers.theirPort, servers.ourPort].map((port) => open({ schema, port }).getOnlineFeatures(request)),
    )
    expect(byName(theirs!)).toEqual(byName(mine!))
    const totals = await open().getOnlineFeatures({ features: ['global_stats:total'], entities: [{}] })
    expect(totals.rows).toEqual([{ total: expect.any(BigInt) }])
    expect(totals.names).toEqual(['total'])
  })

  it('tells integers from floats without a schema, to the last digit', async () => {
    const rows = [
      { driver_id: 77, conv_rate: 2, acc_rate: 3, trips: 9_007_199_254_740_993n, level: 4, nickname: 'x' },
    ]
    const rest = { active: true, last_seen: null, photo: null, labels: null, counts: null, scores: null }
    const event_timestamp = new Date(Number(data.at(0) / 1000n))
    await open().push({
      pushSource: 'driver_push',
      rows: rows.map((row) => ({ ...row, ...rest, event_timestamp, created: event_timestamp })),
    })
    const features = ['conv_rate', 'acc_rate', 'trips', 'level', 'nickname'].map(
      (name) => `driver_stats:${name}`,
    )
    const lookup = { features, entities: [{ driver_id: 77 }] }
    const { rows: found, columns } = await open().getOnlineFeatures(lookup)
    expect(found).toEqual([
      { driver_id: 77n, conv_rate: 2, acc_rate: 3, trips: 9_007_199_254_740_993n, level: 4n, nickname: 'x' },
    ])
    expect(columns['trips']!.eventTimestamps).toEqual([event_timestamp])
    const asNumbers = await open({ int64: 'number' }).getOnlineFeatures({
      ...lookup,
      features: ['driver_stats:level'],
    })
    expect(asNumbers.rows).toEqual([{ driver_id: 77, level: 4 }])
  })

  it('writes with a schema what Python is strict about', async () => {
    const event_timestamp = new Date(Number(data.at(0) / 1000n))
    await open({ schema }).writeToOnlineStore({
      featureView: 'pair_stats',
      rows: [{ driver_id: 5, customer_id: 'c', score: 3, at: event_timestamp }],
    })
    const { rows } = await open({ schema }).getOnlineFeatures({
      features: ['pair_stats:score'],
      entities: [{ driver_id: 5, customer_id: 'c' }],
    })
    expect(rows).toEqual([{ driver_id: 5n, customer_id: 'c', score: 3 }])
  })

  it('goes on when Python stands where ours stood, and back', async () => {
    const proxy = await FlakyProxy.start(servers.ourPort)
    const client = open({ schema, port: proxy.port })
    const lookup = {
      features: ['loc_stats:temp'],
      entities: LOCATIONS.map((location_id) => ({ location_id })),
    }
    const { rows } = await client.getOnlineFeatures(lookup)
    for (const port of [
      servers.ourPort,
      servers.theirPort,
      servers.theirPort,
      servers.ourPort,
      servers.ourPort,
    ]) {
      proxy.targetPort = port
      proxy.poison()
      expect((await client.getOnlineFeatures(lookup)).rows).toEqual(rows)
    }
    await proxy.stop()
  })

  it('says what Python found wrong', async () => {
    const client = open({ schema })
    const unknown = client.getOnlineFeatures({ features: ['nope:x'], entities: [{ driver_id: 1 }] })
    await expect(unknown).rejects.toMatchObject({
      code: 'FEATURE_VIEW_NOT_FOUND',
      http: 404,
      feastClass: 'FeatureViewNotFoundException',
      message: 'Feature view nope does not exist in project demo',
    })
    const mistyped = client.getOnlineFeatures({
      features: ['driver_stats:trips'],
      entities: [{ driver_id: 'abc' }],
    })
    await expect(mistyped).rejects.toMatchObject({ code: 'SERVER_FAILED', http: 500, retry: false })
    const notPushed = client.push({ pushSource: 'nobody', rows: [{ driver_id: 1 }] })
    await expect(notPushed).rejects.toMatchObject({ code: 'PUSH_SOURCE_NOT_FOUND', http: 422 })
  })

  it('materializes, now and later, and sees whether the server is well', async () => {
    const client = open()
    const window = {
      start: new Date(Number(data.at(-48) / 1000n)),
      end: new Date(Number(data.at(240) / 1000n)),
    }
    const views = { featureViews: ['global_stats'] }
    expect(await client.materialize({ ...window, ...views })).toEqual({ status: 'done' })
    expect(await client.materializeIncremental({ end: window.end, ...views, async: true })).toEqual({
      status: 'accepted',
      ...views,
    })
    expect([await client.health(), await client.ready()]).toEqual([true, true])
  })
})

/** Python orders the features of a view at random, and knows fewer statuses. */
function byName({ names, columns }: OnlineFeatures<Readonly<Record<string, unknown>>>): object {
  return Object.fromEntries(
    [...names].sort().map((name) => {
      const { values, eventTimestamps } = columns[name]!
      return [name, { values, eventTimestamps }]
    }),
  )
}
