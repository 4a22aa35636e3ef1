import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Random } from '../compat/random.js'
import type { Fixture } from './fixture.js'
import { type HttpRequest, malformedBytes, malformedRequest } from './malformed-requests.js'

export interface FuzzResult {
  /** Answers per status. */
  readonly statuses: ReadonlyMap<number, number>
  /** Requests that were answered with 5xx, or not at all. */
  readonly failures: readonly string[]
  /** Bytes by which the heap grew after the first fifth. */
  readonly heapGrowthBytes: number
}

/** Sends malformed requests one after another, some of them down a real socket as bytes that are no HTTP. */
export async function fuzz(fixture: Fixture, random: Random, count: number): Promise<FuzzResult> {
  await fixture.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = fixture.app.server.address() as AddressInfo
  const statuses = new Map<number, number>()
  const failures: string[] = []
  let heapAfterWarmUp = 0
  for (let index = 0; index < count; index++) {
    if (index === Math.floor(count / 5)) heapAfterWarmUp = heapBytes()
    const status = random.chance(0.02)
      ? await sendBytes(port, malformedBytes(random), failures)
      : await send(fixture, malformedRequest(random), failures)
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  return { statuses, failures, heapGrowthBytes: heapBytes() - heapAfterWarmUp }
}

async function send(fixture: Fixture, request: HttpRequest, failures: string[]): Promise<number> {
  const { method, url, headers, payload } = request
  const answer = await fixture.app.inject({ method, url, headers, ...(payload && { payload }) })
  if (answer.statusCode >= 500) {
    const sent = payload?.toString('utf8').slice(0, 400)
    failures.push(`${method} ${url} ${sent} → ${answer.statusCode} ${answer.payload.slice(0, 300)}`)
  }
  return answer.statusCode
}

/** @returns the status; 0 where the connection was closed without an answer, which bytes that are no HTTP deserve */
function sendBytes(port: number, bytes: Buffer, failures: string[]): Promise<number> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
    socket.setTimeout(2000, () => socket.destroy())
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

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapBytes(): number {
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().heapUsed
}
