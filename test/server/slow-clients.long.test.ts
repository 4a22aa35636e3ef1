import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { type Fixture, openFixture, writeRows } from './fixture.js'
import { ask, type ServingProcess, startServing } from './serving-process.js'
import {
  type GoodOutcome,
  goodClients,
  percentile,
  SlowClients,
  type SlowStyle,
  writeLongRow,
} from './slow-clients.js'

/** 5 000, each of which comes back within half a minute after it was cut off. */
const CLIENTS: Readonly<Record<SlowStyle, number>> = {
  headers: 1700,
  body: 1700,
  idle: 1559,
  // Making one takes the server a tenth of a second, however it is read.
  answer: 1,
  answers: 40,
}
const ROUND_MS = 15_000
const GOOD_CLIENTS = 8
const MAX_RSS_BYTES = 1 << 30

let fixture: Fixture
let serving: ServingProcess
beforeAll(async () => {
  fixture = await openFixture()
  await writeRows(fixture)
  await writeLongRow(fixture)
  serving = await startServing(fixture.folder, ['--no-access-log'])
})
afterAll(async () => {
  serving.child.kill('SIGKILL')
  await fixture.close()
})

function rssBytes(): number {
  const status = readFileSync(`/proc/${serving.child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024
}

it('5 000 slow connections: good clients keep their p99 within twice what it is without', async () => {
  const before: GoodOutcome[] = []
  await goodClients(serving.port, GOOD_CLIENTS, 5000)
  before.push(await goodClients(serving.port, GOOD_CLIENTS, ROUND_MS))

  const slow = new SlowClients(serving.port, true)
  for (const [style, count] of Object.entries(CLIENTS) as [SlowStyle, number][]) {
    for (let i = 0; i < count; i++) {
      slow.add(style)
      if (i % 50 === 49) await sleep(100)
    }
  }
  await sleep(2000)
  expect(slow.open).toBeGreaterThan(4000)
  let highestRss = 0
  const watching = setInterval(() => {
    highestRss = Math.max(highestRss, rssBytes())
  }, 500)
  const during: GoodOutcome[] = []
  for (let round = 0; round < 5; round++) during.push(await goodClients(serving.port, GOOD_CLIENTS, ROUND_MS))
  clearInterval(watching)
  slow.stop()
  await sleep(3000)
  before.push(await goodClients(serving.port, GOOD_CLIENTS, ROUND_MS))

  const { text } = await ask({ port: serving.port, path: '/metrics' })
  const p99 = (outcomes: readonly GoodOutcome[]) =>
    outcomes.map(({ latenciesMs }) => percentile(latenciesMs, 0.99))
  console.log(
    JSON.stringify({ without: p99(before), with: p99(during), highestRss, counts: slow.counts }),
    text.match(/^feast_node_requests_rejected_total.*$/gm)?.join('\n'),
  )
  expect([...before, ...during].flatMap(({ wrong }) => wrong)).toEqual([])
  // Each style was cut off: after 15 s without headers, 60 s without a body, 30 s with answers that are not read.
  for (const style of ['headers', 'body', 'idle', 'answers'] as const) {
    expect([style, slow.counts[style].cut > 0]).toEqual([style, true])
  }
  expect(highestRss).toBeLessThan(MAX_RSS_BYTES)
  const median = (values: readonly number[]) => percentile(values, 0.5)
  expect(median(p99(during)) / median(p99(before))).toBeLessThan(2)
}, 600_000)
