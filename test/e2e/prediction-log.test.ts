import type { ChildProcess } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import { runSql } from '../feature-store/workbench.js'
import { linearModel, loopingModel } from '../models/onnx-builder.js'
import { makeStore } from '../server/fixture.js'
import { ask, startServing } from '../server/serving-process.js'

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-log-'))
  await (await makeStore(folder, 'ignore')).close()
  writeFileSync(join(folder, 'linear.onnx'), linearModel([1, 2]))
  writeFileSync(join(folder, 'looping.onnx'), loopingModel())
  // Nothing is written before the end, but for what the end is about.
  const yaml = `
models:
  inference: { workers: 1, timeout_ms: 20000 }
  files:
    looping: { path: looping.onnx }
    linear:
      path: linear.onnx
      feature_service: svc_alias
      inputs: [{ tensor: x, features: [origin__temp, dest__temp], default: 1 }]
  logging: { uri: predictions, flush_interval_s: 3600, flush_rows: 100000, max_buffer_rows: 1000000 }
`
  appendFileSync(join(folder, 'feature_store.yaml'), yaml)
})
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
  rmSync(join(folder, 'predictions'), { recursive: true, force: true })
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Asks until it is refused. @returns ids of the requests that were answered */
async function askUntilRefused(
  port: number,
  client: number,
  onAnswer: () => void,
): Promise<readonly string[]> {
  const agent = new Agent({ keepAlive: client % 2 === 0, maxSockets: 1 })
  const body = JSON.stringify({ model: 'linear', entities: { origin_id: [client, 7], dest_id: [1, 2] } })
  const answered: string[] = []
  for (;;) {
    const id = `request-${client}-${answered.length}`
    const headers = { 'x-request-id': id }
    const answer = await ask({ port, agent, method: 'POST', path: '/predict', headers, body }).catch(
      () => undefined,
    )
    if (answer === undefined) break
    const { status, text } = answer
    expect({ status, text }).toEqual({ status: 200, text: expect.stringContaining('"score":3') })
    answered.push(id)
    onAnswer()
  }
  agent.destroy()
  return answered
}

it.each([[[]], [['--workers', '2']]])(
  'SIGTERM %j: every prediction that was answered is in the log, once',
  async (args) => {
    const serving = await startServing(folder, ['--no-access-log', ...args])
    children.push(serving.child)
    let answers = 0
    let clients: Promise<readonly string[]>[] = []
    const enough = new Promise<void>((resolve) => {
      const count = () => {
        if (++answers === 100) resolve()
      }
      clients = Array.from({ length: 8 }, (_, client) => askUntilRefused(serving.port, client, count))
    })
    await Promise.race([enough, Promise.all(clients)])
    serving.child.kill('SIGTERM')
    const answered = (await Promise.all(clients)).flat()
    expect([(await serving.exited)[0], serving.stderr()]).toEqual([0, expect.not.stringContaining('error')])
    const rows = await runSql(
      `SELECT request_id, count(*)::INTEGER AS "rows", sum(score) AS total, min(role) AS role
     FROM read_parquet('${join(folder, 'predictions/**/*.parquet')}') GROUP BY request_id`,
    )
    const logged = new Map(rows.map(({ request_id, ...row }) => [request_id, row]))
    expect(answered.filter((id) => !logged.has(id))).toEqual([])
    expect(logged.get(answered[0]!)).toEqual({ rows: 2, total: 6, role: 'champion' })
    expect(new Set(rows.map(({ rows }) => rows))).toEqual(new Set([2]))
  },
  60_000,
)

it('a run that never ends does not keep the server from its end, nor what was answered from the log', async () => {
  const { port, child, exited } = await startServing(folder, ['--no-access-log'])
  children.push(child)
  const inputs = [{ name: 'x', datatype: 'INT64', shape: [1, 1], data: [2 ** 50] }]
  const endless = await ask({
    port,
    method: 'POST',
    path: '/v2/models/looping/infer',
    headers: { 'x-request-timeout-ms': '200' },
    body: JSON.stringify({ inputs }),
  })
  expect(endless.status).toBe(504)
  const body = JSON.stringify({ model: 'linear', entities: { origin_id: [1], dest_id: [2] } })
  expect((await ask({ port, method: 'POST', path: '/predict', body })).status).toBe(200)
  child.kill('SIGTERM')
  // Such a thread cannot be ended but with its process.
  expect(await exited).toEqual([null, 'SIGTERM'])
  const rows = await runSql(`SELECT score FROM read_parquet('${join(folder, 'predictions/**/*.parquet')}')`)
  expect(rows).toEqual([{ score: 3 }])
}, 60_000)
