import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { until } from '../until.js'
import { type Fixture, openFixture, writeRows } from './fixture.js'
import { goodClients, SlowClients, writeLongRow } from './slow-clients.js'

const TIMEOUTS = { headersMs: 3000, requestMs: 4000, answerMs: 2000, keepAliveMs: 1000 }

let fixture: Fixture
let port: number
beforeAll(async () => {
  fixture = await openFixture({ timeouts: TIMEOUTS })
  await writeRows(fixture)
  await writeLongRow(fixture)
  await fixture.app.listen({ port: 0, host: '127.0.0.1' })
  port = (fixture.app.server.address() as AddressInfo).port
})
afterAll(() => fixture.close())

async function rejected(reason: string): Promise<number> {
  const { payload } = await fixture.app.inject({ url: '/metrics' })
  return Number(new RegExp(`rejected_total\\{reason="${reason}"\\} (\\d+)`).exec(payload)?.[1] ?? 0)
}

it('200 slow connections are all ended, while good clients are answered', async () => {
  const slow = new SlowClients(port, false)
  for (let i = 0; i < 70; i++) slow.add('headers')
  for (let i = 0; i < 70; i++) slow.add('body')
  for (let i = 0; i < 54; i++) slow.add('idle')
  for (let i = 0; i < 4; i++) slow.add('answer')
  const { counts } = slow
  const areCut = () => [counts.headers.cut, counts.body.cut, counts.idle.cut, counts.answer.cut]
  const good = goodClients(port, 4, 4000)
  await until(() => slow.open === 0 && areCut().reduce((a, b) => a + b) === 198, 'the end of the slow ones')
  slow.stop()
  const { wrong, latenciesMs } = await good
  expect(wrong).toEqual([])
  expect(latenciesMs.length).toBeGreaterThan(20)
  expect(areCut()).toEqual([70, 70, 54, 4])
  // An idle connection has asked nothing: Node ends it without a word, like one whose headers do not come.
  expect(await rejected('slow_request')).toBe(194)
  expect(await rejected('slow_reader')).toBe(4)
})

it('empty lines do not keep a connection open', async () => {
  const socket = connect(port, '127.0.0.1')
  const closed = once(socket, 'close')
  socket.resume()
  socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
  const drip = setInterval(() => socket.write('\r\n'), 200)
  socket.on('error', () => {})
  await closed.finally(() => clearInterval(drip))
})

it('an answer that is read slowly, but read, arrives whole', async () => {
  const location_id = Array.from({ length: 60_000 }, (_, row) => 1 + (row % 2))
  const body = JSON.stringify({ features: ['loc_stats:temp'], entities: { location_id } })
  const chunks = await new Promise<number>((resolve, reject) => {
    const sent = request({ port, method: 'POST', path: '/get-online-features' }, (answer) => {
      const expected = Number(answer.headers['content-length'])
      let received = 0
      answer.on('data', (chunk: Buffer) => {
        received += chunk.length
        answer.pause()
        setTimeout(() => answer.resume(), 5)
      })
      answer.on('end', () => resolve(expected - received))
      answer.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
  expect(chunks).toBe(0)
})
