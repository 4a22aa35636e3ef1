import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import type { FastifyInstance } from 'fastify'
import type { Random } from '../compat/random.js'
import { growthBelow, type Held, heldNow } from './held.js'
import { type HttpRequest, malformedBytes, malformedRequest } from './malformed-requests.js'

export interface FuzzResult {
  /** Answers per status. */
  readonly statuses: ReadonlyMap<number, number>
  /** Requests that were answered with 5xx, or not at all. */
  readonly failures: readonly string[]
  /** Since the first fifth. */
  readonly growth: Held
}

export interface FuzzTarget {
  readonly app: FastifyInstance
  /** Sent with most requests. */
  readonly authorization?: string
}

const AT_A_TIME = 16
const PATIENCE_MS = 20_000
/** Most of the answers that are worth keeping are alike. */
const MAX_FAILURES = 50
const BOUNDS: Held = { heapBytes: 20e6, files: 20, resources: 20 }

/** Sends malformed requests, some of them down a real socket as bytes that are no HTTP. */
export async function fuzz(target: FuzzTarget, random: Random, count: number): Promise<FuzzResult> {
  const { server } = target.app
  if (!server.listening) await target.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.address() as AddressInfo
  const statuses = new Map<number, number>()
  const failures: string[] = []
  let warm: Held | undefined
  const one = () =>
    random.chance(0.02)
      ? sendBytes(port, malformedBytes(random), failures)
      : send(target, malformedRequest(random), random.chance(0.9), failures)
  let sent = 0
  // Lanes, not batches: bytes that are no HTTP may be waited for.
  const lane = async () => {
    while (sent < count && failures.length < MAX_FAILURES) {
      if (++sent > count / 5) warm ??= heldNow()
      const status = await one()
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  const lanes = Promise.all(Array.from({ length: AT_A_TIME }, lane))
  let isOver = false
  const isStuck = async () => {
    while (failures.length === 0 && !isOver) await sleep(100)
  }
  await Promise.race([lanes, isStuck()])
  isOver = true
  return { statuses, failures, growth: await growthBelow(BOUNDS, warm!) }
}

export async function expectUnharmed({ app }: FuzzTarget, result: FuzzResult): Promise<void> {
  expect(result.failures).toEqual([])
  expect(result.growth.heapBytes).toBeLessThan(BOUNDS.heapBytes)
  expect(result.growth.files).toBeLessThan(BOUNDS.files)
  expect(result.growth.resources).toBeLessThan(BOUNDS.resources)
  expect((await app.inject({ url: '/health' })).statusCode).toBe(200)
}

async function send(
  { app, authorization }: FuzzTarget,
  request: HttpRequest,
  isKnown: boolean,
  failures: string[],
): Promise<number> {
  const { method, url, payload } = request
  const headers =
    authorization !== undefined && isKnown ? { ...request.headers, authorization } : request.headers
  const blame = (what: string) => {
    const sent = `${method} ${url} ${JSON.stringify(headers)} ${payload?.toString('latin1').slice(0, 400)}`
    failures.push(`${sent} → ${what}`)
  }
  const late = setTimeout(() => blame(`no answer within ${PATIENCE_MS} ms`), PATIENCE_MS)
  const answer = await app.inject({ method, url, headers, ...(payload && { payload }) })
  clearTimeout(late)
  if (answer.statusCode >= 500) blame(`${answer.statusCode} ${answer.payload.slice(0, 300)}`)
  return answer.statusCode
}

/** @returns the status; 0 where the connection was closed without an answer, which bytes that are no HTTP deserve */
function sendBytes(port: number, bytes: Buffer, failures: string[]): Promise<number> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
    // Half a request is not answered until it is too late; others are at once.
    socket.setTimeout(100, () => socket.destroy())
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)
      if (status >= 500) failures.push(`${bytes.toString('latin1').slice(0, 300)} → ${text.slice(0, 300)}`)
      resolve(status)
    })
  })
}
