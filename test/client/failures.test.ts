import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type ClientOptions, createFeastClient, type FeastClient } from 'feast-node/client'
import { Float64, Int32, UnixTimestamp } from '../../src/core/value-type.js'
import { seededRandom } from '../compat/random.js'
import { freePort } from '../free-port.js'
import { until } from '../until.js'
import { type Fate, FlakyProxy } from './flaky-proxy.js'
import { type ServedStore, serveStore } from './served-store.js'

let served: ServedStore
const IDS = Array.from({ length: 200 }, (_, id) => id)

beforeAll(async () => {
  served = await serveStore()
  await served.write('location_stats', {
    location_id: { type: Int32, cells: IDS },
    temp: { type: Float64, cells: IDS.map((id) => id / 4) },
    rain: { type: Float64, cells: IDS.map((id) => -id) },
    event_timestamp: { type: UnixTimestamp, cells: IDS.map(() => 1_780_000_000_000_000n) },
  })
})
afterAll(() => served.stop())

const clients: FeastClient[] = []
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})

function open(options: ClientOptions): FeastClient {
  const client = createFeastClient(options)
  clients.push(client)
  return client
}

const REFS = ['location_stats:temp', 'location_stats:rain']

/** Looks up all rows and checks every value. */
async function lookUpAll(client: FeastClient, timeoutMs = 5000): Promise<void> {
  const answer = await client.getOnlineFeatures(
    { features: REFS, entities: { location_id: IDS } },
    { timeoutMs },
  )
  expect(answer.columns['temp']!.values).toEqual(IDS.map((id) => id / 4))
  expect(answer.columns['rain']!.values).toEqual(IDS.map((id) => -id))
}

/** Whether a connection to this port waits for nothing but the time to ask whether its other end is there. */
function isKeptAlive(port: number): boolean {
  const remote = port.toString(16).toUpperCase().padStart(4, '0')
  const isOne = new RegExp(`^ *\\d+: \\S+ 0100007F:${remote} 01 \\S+ 02:`, 'm')
  return isOne.test(readFileSync('/proc/net/tcp', 'utf8'))
}

describe.each(['http', 'grpc'] as const)('over %s', (protocol) => {
  let proxy: FlakyProxy
  beforeEach(async () => {
    proxy = await FlakyProxy.start(protocol === 'http' ? served.httpPort : served.grpcPort)
  })
  afterEach(() => proxy.stop())
  const url = () => `${protocol}://127.0.0.1:${proxy.port}`

  it.each<[what: string, fate: Fate]>([
    ['is reset at once', { refuse: true }],
    ['is reset when the request was sent', { resetAfterSent: 200 }],
    ['is cut in the middle of the answer', { cutAfterAnswered: 1500 }],
    ['is cut in the head of the answer', { cutAfterAnswered: 20 }],
  ])('a lookup is made again when its connection %s', async (_, fate) => {
    proxy.fate = (index) => (index < 2 ? fate : {})
    await lookUpAll(open({ url: url() }))
    expect(proxy.connections).toBe(3)
    proxy.fate = () => fate
    const failed = lookUpAll(open({ url: url(), retries: 1 }))
    await expect(failed).rejects.toMatchObject({
      code: 'SERVER_UNREACHABLE',
      grpc: 'UNAVAILABLE',
      retry: true,
    })
    expect(proxy.connections).toBe(5)
  })

  it('a connection that was kept open and is dead is not noticed by the caller', async () => {
    const client = open({ url: url() })
    await lookUpAll(client)
    await lookUpAll(client)
    expect(proxy.connections).toBe(1)
    proxy.poison()
    await lookUpAll(client)
    expect(proxy.connections).toBe(2)
  })

  it('a server that says nothing is given up at the deadline, and found again when it speaks', async () => {
    proxy.fate = () => ({ hang: true })
    const client = open({ url: url() })
    const ended: number[] = []
    const given = async (timeoutMs: number) => {
      const lookup = lookUpAll(client, timeoutMs).finally(() => ended.push(timeoutMs))
      await expect(lookup).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', http: 504 })
    }
    await Promise.all([given(900), given(300)])
    expect(ended).toEqual([300, 900])
    proxy.fate = () => ({})
    await lookUpAll(client, 10_000)
  })

  const itOnLinux = existsSync('/proc/net/tcp') ? it : it.skip
  itOnLinux('a call without limit has the network ask whether the server is still there', async () => {
    const server = await FlakyProxy.start(0)
    server.fate = () => ({ hang: true })
    const client = open({ url: `${protocol}://127.0.0.1:${server.port}`, timeoutMs: 0 })
    const call =
      protocol === 'http'
        ? client.materializeIncremental({ end: '2026-08-01' })
        : client.getOnlineFeatures({ features: REFS, entities: { location_id: [1] } })
    const failed = call.catch((error) => error)
    await until(() => isKeptAlive(server.port), 'a keepalive timer of the kernel')
    client.close()
    await failed
    await server.stop()
  })

  it('a call can be aborted, before and while it is made', async () => {
    proxy.fate = () => ({ delayMs: 60_000 })
    const client = open({ url: url() })
    const request = { features: REFS, entities: { location_id: IDS } }
    const aborted = client.getOnlineFeatures(request, { signal: AbortSignal.abort() })
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
    const controller = new AbortController()
    const underWay = client.getOnlineFeatures(request, { signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await expect(underWay).rejects.toMatchObject({ code: 'ABORTED' })
  })

  it('a server that is not there is an error that says so, and none of a health check', async () => {
    const port = proxy.port
    await proxy.stop()
    const client = open({ url: `${protocol}://127.0.0.1:${port}` })
    await expect(lookUpAll(client)).rejects.toThrow(
      new RegExp(`127.0.0.1:${port} cannot be asked: .*ECONNREFUSED`),
    )
    expect([await client.health(), await client.ready()]).toEqual([false, false])
    proxy = await FlakyProxy.start(protocol === 'http' ? served.httpPort : served.grpcPort)
    const there = open({ url: url() })
    expect([await there.health(), await there.ready()]).toEqual([true, true])
  })

  it('closing ends what is under way, and everything after', async () => {
    proxy.fate = () => ({ delayMs: 60_000 })
    const client = open({ url: url() })
    const underWay = lookUpAll(client, 0)
    await sleep(100)
    client.close()
    await expect(underWay).rejects.toMatchObject({ code: 'CLIENT_CLOSED' })
    await expect(lookUpAll(client)).rejects.toMatchObject({ code: 'CLIENT_CLOSED' })
    await until(() => proxy.open.size === 0)
  })

  it('many calls at once share few connections and leave none', async () => {
    const client = open({ url: url(), maxInFlight: 8 })
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, proxy.open.size)
    }, 1)
    const ask = async (id: number) => {
      const { rows } = await client.getOnlineFeatures({ features: REFS, entities: [{ location_id: id }] })
      return rows[0]!['temp']
    }
    const many = Array.from({ length: 200 }, (_, i) => i % IDS.length)
    const answers = await Promise.all(many.map(ask)).finally(() => clearInterval(watch))
    expect(answers).toEqual(many.map((id) => id / 4))
    expect(most).toBeLessThanOrEqual(protocol === 'http' ? 8 : 1)
    client.close()
    await until(() => proxy.open.size === 0)
  })

  it('refuses more calls than may wait', async () => {
    proxy.fate = () => ({ delayMs: 100 })
    const client = open({ url: url(), maxInFlight: 2, maxWaiting: 3 })
    const calls = await Promise.allSettled(Array.from({ length: 8 }, () => lookUpAll(client)))
    const codes = calls.map((call) => (call.status === 'fulfilled' ? 'answered' : call.reason.code))
    expect(codes).toEqual([...Array(5).fill('answered'), ...Array(3).fill('CLIENT_OVERLOADED')])
    await lookUpAll(client)
  })

  it('never gives a wrong answer, whatever happens to its connections', async () => {
    const random = seededRandom(`client failures over ${protocol}`)
    const fates: readonly (() => Fate)[] = [
      () => ({}),
      () => ({}),
      () => ({ refuse: true }),
      () => ({ resetAfterSent: random.int(1, 3000) }),
      () => ({ cutAfterAnswered: random.int(0, 20_000) }),
      () => ({ delayMs: random.int(0, 20) }),
    ]
    proxy.fate = () => random.pick(fates)()
    const client = open({ url: url(), retries: 10, maxInFlight: 4 })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 80 }, async (_, i) => {
        const ids = random.times(random.int(1, 50), () => random.pick(IDS))
        await sleep(i * 2)
        const { rows } = await client.getOnlineFeatures({
          features: REFS,
          entities: ids.map((location_id) => ({ location_id })),
        })
        expect(rows.map(({ temp, rain }) => ({ temp, rain }))).toEqual(
          ids.map((id) => ({ temp: id / 4, rain: -id })),
        )
      }),
    )
    const failures = outcomes.filter((one) => one.status === 'rejected').map(({ reason }) => reason)
    expect(failures.filter(({ code }) => code !== 'SERVER_UNREACHABLE')).toEqual([])
    expect(failures.length).toBeLessThan(8)
  })
})

describe('writes', () => {
  /** Counts what reaches it, and answers as it is told. */
  let requests: { readonly path: string; readonly authorization: string | undefined }[] = []
  let answer: { readonly status: number; readonly headers?: Record<string, string> } | 'cut'
  let server: Server
  beforeEach(async () => {
    requests = []
    server = createServer((request, response) => {
      request.resume().once('end', () => {
        requests.push({ path: request.url!, authorization: request.headers.authorization })
        if (answer === 'cut') request.socket.resetAndDestroy()
        else response.writeHead(answer.status, answer.headers).end('null')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })
  const client = (options: Partial<ClientOptions> = {}) =>
    open({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ...options })
  const rows = [{ driver_id: 1 }]
  type Send = (client: FeastClient) => Promise<unknown>
  const online: Send = (one) => one.push({ pushSource: 'driver_push', rows })
  const direct: Send = (one) => one.writeToOnlineStore({ featureView: 'driver_stats', rows })
  const offline: Send = (one) => one.push({ pushSource: 'driver_push', rows, to: 'offline' })
  const both: Send = (one) => one.push({ pushSource: 'driver_push', rows, to: 'online_and_offline' })
  const materialize: Send = (one) => one.materializeIncremental({ end: new Date() })

  it.each<[what: string, send: Send, attempts: number]>([
    ['a push online', online, 3],
    ['a write to the online store', direct, 3],
    ['a push offline', offline, 1],
    ['a push to both', both, 1],
    ['a materialization', materialize, 1],
  ])('%s that may have been done is sent again only where that does no harm', async (_, send, attempts) => {
    answer = 'cut'
    await expect(send(client({ retries: 2 }))).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' })
    expect(requests.length).toBe(attempts)
    requests = []
    answer = { status: 503 }
    await expect(send(client({ retries: 2 }))).rejects.toMatchObject({ http: 503, retry: true })
    expect(requests.length).toBe(attempts)
    requests = []
    answer = { status: 422 }
    await expect(send(client({ retries: 2 }))).rejects.toMatchObject({ http: 422, retry: false })
    expect(requests.length).toBe(1)
  })

  it.each([
    ['a push offline', offline],
    ['a push online', online],
  ])('%s that certainly did not reach the server is sent again', async (_, send) => {
    answer = { status: 200 }
    const port = await freePort()
    const sent = send(open({ url: `http://127.0.0.1:${port}`, retries: 50 }))
    await sleep(100)
    const back = createServer((request, response) => {
      request.resume().once('end', () => response.end('null'))
    })
    await new Promise<void>((resolve) => back.listen(port, '127.0.0.1', resolve))
    await sent.finally(() => {
      back.closeAllConnections()
      back.close()
    })
  })

  it('waits as long as the server asks, if the deadline allows it', async () => {
    answer = { status: 503, headers: { 'retry-after': '1' } }
    const begun = performance.now()
    const late = online(client())
    await until(() => requests.length === 1)
    answer = { status: 200 }
    await late
    expect(performance.now() - begun).toBeGreaterThan(990)
    expect(requests.length).toBe(2)

    answer = { status: 503, headers: { 'retry-after': '30' } }
    await expect(online(client({ timeoutMs: 2000 }))).rejects.toMatchObject({ http: 503 })
    expect(requests.length).toBe(3)
  })

  it('asks for the token at every attempt, and keeps it to itself', async () => {
    answer = { status: 503 }
    let asked = 0
    const token = async () => `token-${asked++}`
    await expect(online(client({ retries: 2, token }))).rejects.toMatchObject({ http: 503 })
    expect(requests.map(({ authorization }) => authorization)).toEqual(
      [0, 1, 2].map((n) => `Bearer token-${n}`),
    )
    const bad = online(client({ token: 'secret\r\nX: y' }))
    await expect(bad).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.not.stringContaining('secret'),
    })
  })
})
