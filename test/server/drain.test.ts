import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import { runFeast, textOf } from '../cli/run-feast.js'
import { until } from '../until.js'
import { makeStore } from './fixture.js'
import { type ServingProcess, startServing } from './serving-process.js'

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-drain-'))
  await (await makeStore(folder, 'ignore')).close()
})
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
})
afterAll(() => rmSync(folder, { recursive: true }))

const BODY = JSON.stringify({ features: ['loc_stats:temp'], entities: { location_id: [1, 2, 3] } })

it('answers everything that was asked before SIGTERM, on open connections and new ones, and exits with 0', async () => {
  const { child, port, exited } = await serve()
  const begun: Outcome[] = Array.from({ length: 16 }, () => ({ answered: 0, wrong: [], lastAskedAt: 0 }))
  const clients = begun.map((outcome, index) => askUntilRefused(port, index % 2 === 0, outcome))
  await until(() => begun.every(({ answered }) => answered > 0), 'an answer for each')
  const stoppedAt = performance.now()
  child.kill('SIGTERM')
  const outcomes = await Promise.all(clients)
  const [code] = await exited

  expect(outcomes.flatMap(({ wrong }) => wrong)).toEqual([])
  expect(outcomes.filter(({ lastAskedAt }) => lastAskedAt < stoppedAt)).toEqual([])
  expect(code).toBe(0)
})

it('answers a request whose body was still coming when SIGTERM came', async () => {
  const { child, port, exited } = await serve()
  const late = request({
    host: '127.0.0.1',
    port,
    method: 'POST',
    path: '/get-online-features',
    headers: { 'content-length': BODY.length },
  })
  late.write(BODY.slice(0, 10))
  const [socket] = (await once(late, 'socket')) as [Socket]
  if (socket.connecting) await once(socket, 'connect')
  // The server has taken that request up when it answers one that came after it.
  await new Promise((done) => setTimeout(done, 100))
  expect((await ask(port, new Agent())).status).toBe(200)
  child.kill('SIGTERM')
  await new Promise((done) => setTimeout(done, 300))
  late.end(BODY.slice(10))
  const [answer] = (await once(late, 'response')) as [import('node:http').IncomingMessage]
  expect(answer.statusCode).toBe(200)
  expect(answer.headers.connection).toBe('close')
  answer.resume()
  expect((await exited)[0]).toBe(0)
})

it('says so when the port is taken', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const { code, stderr } = await runFeast(folder, ['serve', '--port', String(port)])
  holder.close()
  expect(code).toBe(1)
  expect(stderr).toContain(`127.0.0.1:${port} is already in use`)
})

async function serve(): Promise<ServingProcess> {
  const serving = await startServing(folder, ['--no-access-log'])
  children.push(serving.child)
  return serving
}

interface Outcome {
  answered: number
  wrong: string[]
  /** When the request was sent that got no answer. */
  lastAskedAt: number
}

/** Asks again as soon as it has an answer, on one connection or a new one each time. */
async function askUntilRefused(port: number, keepAlive: boolean, outcome: Outcome): Promise<Outcome> {
  const agent = new Agent({ keepAlive, maxSockets: 1 })
  for (;;) {
    outcome.lastAskedAt = performance.now()
    try {
      const { status, text } = await ask(port, agent)
      if (status === 200 && text.startsWith('{"results":')) outcome.answered++
      else outcome.wrong.push(`${status} ${text}`)
    } catch {
      agent.destroy()
      return outcome
    }
  }
}

function ask(port: number, agent: Agent): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, host: '127.0.0.1', agent, method: 'POST', path: '/get-online-features' },
      (answer) => {
        textOf(answer).then((text) => resolve({ status: answer.statusCode, text }), reject)
      },
    )
    sent.on('error', reject)
    sent.end(BODY)
  })
}
