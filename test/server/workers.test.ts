import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import { startTimeOf } from '../../src/core/process-identity.js'
import { startFeast, textOf } from '../cli/run-feast.js'
import { until } from '../until.js'
import { makeStore } from './fixture.js'
import { ask, LOOKUP, type ServingProcess, startServing } from './serving-process.js'

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-workers-'))
  await (await makeStore(folder, 'ignore')).close()
})
const started: ServingProcess[] = []
/** Of the test that runs. */
const clients: Client[] = []
afterEach(() => {
  for (const client of clients.splice(0)) client.isStopped = true
  for (const { child } of started.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
})
afterAll(() => rmSync(folder, { recursive: true }))

async function serve(...args: string[]): Promise<ServingProcess> {
  const serving = await startServing(folder, args)
  started.push(serving)
  return serving
}

function childrenOf({ child }: ServingProcess): readonly number[] {
  const out = execFileSync('ps', ['-o', 'pid=,ppid=,stat=', '-A'], { encoding: 'utf8' })
  return out
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, state]) => Number(parent) === child.pid && state?.[0] !== 'Z')
    .map(([pid]) => Number(pid))
}

/** The value of a metric, or the sum over its labels. */
function metric(text: string, name: string): number {
  const lines = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))]
  return lines.reduce((sum, [, value]) => sum + Number(value), 0)
}

it('share the port, say once that they serve, sum up their metrics, and end with exit code 0', async () => {
  const serving = await serve('--workers', '2')
  expect(serving.stdout()).toMatch(
    /^Serving features of project demo on http:\/\/127\.0\.0\.1:\d+\nand over gRPC on 127\.0\.0\.1:\d+\n$/,
  )
  expect(childrenOf(serving)).toHaveLength(2)
  for (let i = 0; i < 20; i++) {
    const { status } = await ask({ ...LOOKUP, port: serving.port, headers: { connection: 'close' } })
    expect(status).toBe(200)
  }
  const { text, headers } = await ask({ port: serving.port, path: '/metrics' })
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(metric(text, 'feast_online_features_request_total')).toBe(20)
  expect(metric(text, 'feast_online_features_entity_count_sum')).toBe(60)
  expect(metric(text, 'feast_node_online_values_total')).toBe(60)
  expect(metric(text, 'feast_node_workers')).toBe(2)
  const workers = childrenOf(serving)
  serving.child.kill('SIGTERM')
  expect(await serving.exited).toEqual([0, null])
  expect(childrenOf(serving)).toEqual([])
  // Round robin: both have had some. Lines are gathered; all of them are there at the end.
  const pids = new Set(
    serving
      .stderr()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).pid),
  )
  expect([...pids].sort()).toEqual([...workers].sort())
})

it('are replaced when they die; others than those who were asking it notice nothing', async () => {
  const serving = await serve('--workers', '2', '--no-access-log')
  const [victim, other] = childrenOf(serving)
  for (let i = 0; i < 16; i++) new Client(serving.port)
  await sleep(500)
  process.kill(victim!, 'SIGKILL')
  await sleep(1500)
  for (const client of clients) client.isStopped = true
  await Promise.all(clients.map(({ done }) => done))

  // A client has one request under way: those of the dead worker lost that one, and all go on.
  expect(Math.max(...clients.map(({ failed }) => failed))).toBeLessThanOrEqual(1)
  expect(clients.filter(({ failed }) => failed === 0)).not.toEqual([])
  expect(clients.flatMap(({ wrong }) => wrong)).toEqual([])
  const after = childrenOf(serving)
  expect(after).toHaveLength(2)
  expect(after).toContain(other)
  expect(after).not.toContain(victim)
  const { text } = await ask({ port: serving.port, path: '/metrics' })
  expect(metric(text, 'feast_node_worker_restarts_total')).toBe(1)
  expect(serving.stderr()).toContain('it was ended by SIGKILL')
  serving.child.kill('SIGINT')
  expect(await serving.exited).toEqual([0, null])
})

it('lose no connection that was on its way to one that died', async () => {
  const serving = await serve('--workers', '2', '--no-access-log')
  const [victim] = childrenOf(serving)
  // It takes nothing any more, and what is sent to it waits.
  process.kill(victim!, 'SIGSTOP')
  let answered = 0
  const asked = Array.from({ length: 6 }, async () => {
    const { status } = await ask({ ...LOOKUP, port: serving.port, headers: { connection: 'close' } })
    answered++
    return status
  })
  const settled = Promise.all(asked)
  await until(() => answered >= 5, 'an answer for all but one')
  process.kill(victim!, 'SIGKILL')
  expect(await settled).toEqual([200, 200, 200, 200, 200, 200])
})

it('close what was on its way to the last one, though the next is starting', async () => {
  const serving = await serve('--workers', '2', '--no-access-log')
  const [last, first] = childrenOf(serving)
  process.kill(last!, 'SIGSTOP')
  let answered = 0
  const asked = Array.from({ length: 6 }, async () => {
    const question = { ...LOOKUP, port: serving.port, headers: { connection: 'close' } }
    const outcome = await ask(question).then(
      ({ status }) => status,
      (error: Error & { code?: string }) => error.code,
    )
    answered++
    return outcome
  })
  const settled = Promise.all(asked)
  await until(() => answered >= 5, 'an answer for all but one')
  process.kill(first!, 'SIGKILL')
  await until(() => childrenOf(serving).filter((pid) => pid !== first).length === 2, 'a new worker')
  process.kill(last!, 'SIGKILL')
  const outcomes = await settled
  expect(outcomes.filter((outcome) => outcome === 200).length).toBeGreaterThanOrEqual(5)
  for (const outcome of outcomes) expect([200, 'ECONNRESET']).toContain(outcome)
})

it('close what no worker is left for', async () => {
  const serving = await serve('--workers', '2', '--no-access-log')
  const victims = childrenOf(serving)
  for (const victim of victims) process.kill(victim, 'SIGSTOP')
  const asked = Array.from({ length: 6 }, () =>
    ask({ ...LOOKUP, port: serving.port, headers: { connection: 'close' } }).then(
      ({ status }) => status,
      (error: Error & { code?: string }) => error.code,
    ),
  )
  await sleep(200)
  for (const victim of victims) process.kill(victim, 'SIGKILL')
  // Those that nobody had accepted yet are the next workers'.
  for (const outcome of await Promise.all(asked))
    expect(['ECONNRESET', 'ECONNREFUSED', 200]).toContain(outcome)
})

it('hold as many connections as they may, and close the others', async () => {
  const serving = await serve('--workers', '2', '--worker-connections', '2', '--no-access-log')
  const agents: Agent[] = []
  const outcomes: unknown[] = []
  for (let i = 0; i < 10; i++) {
    const agent = new Agent({ keepAlive: true })
    agents.push(agent)
    outcomes.push(
      await ask({ ...LOOKUP, port: serving.port, agent }).then(
        ({ status }) => status,
        () => 'closed',
      ),
    )
  }
  expect(outcomes.filter((outcome) => outcome === 200)).toHaveLength(4)
  expect(outcomes.filter((outcome) => outcome === 'closed')).toHaveLength(6)
  for (const agent of agents) agent.destroy()
  const dropped = async () => {
    const { text } = await ask({ port: serving.port, path: '/metrics', headers: { connection: 'close' } })
    return Number(/rejected_total\{reason="connections"\} (\d+)/.exec(text)?.[1])
  }
  // Until the workers have seen that the clients are gone, it is itself one too many.
  await until(
    async () => ((await dropped().catch(() => undefined)) ?? 0) >= 6,
    'counting those that were closed',
  )
})

it('keep what a dead one had counted', async () => {
  const serving = await serve('--workers', '2', '--no-access-log')
  for (let i = 0; i < 10; i++) await ask({ ...LOOKUP, port: serving.port, headers: { connection: 'close' } })
  const counted = async () =>
    metric((await ask({ port: serving.port, path: '/metrics' })).text, 'feast_online_features_request_total')
  expect(await counted()).toBe(10)
  process.kill(childrenOf(serving)[0]!, 'SIGKILL')
  await sleep(300)
  expect(await counted()).toBe(10)
})

it('drain: what was asked before SIGTERM is answered by each of them', async () => {
  const serving = await serve('--workers', '2', '--no-access-log')
  for (let i = 0; i < 16; i++) new Client(serving.port, true)
  // All are connected to a worker by then.
  await until(() => clients.every(({ answered, failed }) => answered + failed > 0), 'an answer for each')
  const stoppedAt = performance.now()
  serving.child.kill('SIGTERM')
  await Promise.all(clients.map(({ done }) => done))
  expect(clients.flatMap(({ wrong }) => wrong)).toEqual([])
  expect(Math.min(...clients.map(({ lastAskedAt }) => lastAskedAt))).toBeGreaterThan(stoppedAt)
  expect(await serving.exited).toEqual([0, null])
})

it('that cannot start end the command, with the reason said once', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const child = startFeast(folder, ['serve', '--workers', '3', '--port', String(port)])
  const [stderr, stdout, [code]] = await Promise.all([
    textOf(child.stderr!),
    textOf(child.stdout!),
    once(child, 'exit'),
  ])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr.match(/is already in use/g)).toHaveLength(1)
  expect(stderr).toContain(`Error: A worker could not start: 127.0.0.1:${port} is already in use`)
  holder.close()
})

it('end with the process that started them', async () => {
  const serving = await serve('--workers', '2', '--no-access-log')
  const workers = childrenOf(serving)
  serving.child.kill('SIGKILL')
  await serving.exited
  // One that has ended counts as gone, whether or not anybody has asked for its exit code.
  await until(() => workers.every((pid) => startTimeOf(pid) === ''), 'the end of the workers')
})

/** Asks again as soon as it has an answer, on a connection that it keeps. */
class Client {
  failed = 0
  answered = 0
  isStopped = false
  lastAskedAt = 0
  readonly wrong: string[] = []
  readonly done: Promise<void>

  constructor(
    readonly port: number,
    readonly endsWithFailure = false,
  ) {
    clients.push(this)
    this.done = this.#run()
  }

  async #run(): Promise<void> {
    const agent = new Agent({ keepAlive: true })
    while (!this.isStopped) {
      this.lastAskedAt = performance.now()
      try {
        const { status, text } = await ask({ ...LOOKUP, port: this.port, agent })
        this.answered++
        if (status !== 200) this.wrong.push(`${status} ${text}`)
      } catch {
        this.failed++
        this.isStopped = this.endsWithFailure
      }
    }
    agent.destroy()
  }
}
