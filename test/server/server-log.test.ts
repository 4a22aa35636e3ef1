import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { runFeast, startFeast } from '../cli/run-feast.js'
import { makeStore } from './fixture.js'
import { ask, LOOKUP, startServing } from './serving-process.js'

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-log-'))
  await (await makeStore(folder, 'ignore')).close()
})
afterAll(() => rmSync(folder, { recursive: true }))

it('feast serve writes a JSON line per request on stderr, the last ones too', async () => {
  const { port, child, exited, stderr, stdout } = await startServing(folder)
  await ask({
    ...LOOKUP,
    port,
    path: '/get-online-features?token=secret',
    headers: { 'x-request-id': 'first' },
  })
  await ask({ port, path: '/nope', headers: { 'x-request-id': 'last' } })
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
  const lines = stderr()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const access = { level: 30, time: expect.any(Number), pid: child.pid, protocol: 'http', ip: '127.0.0.1' }
  expect(lines.filter(({ msg }) => msg === 'request')).toEqual([
    {
      ...access,
      request_id: 'first',
      method: 'POST',
      path: '/get-online-features',
      status: 200,
      ms: expect.any(Number),
      msg: 'request',
    },
    {
      ...access,
      request_id: 'last',
      method: 'GET',
      path: '/nope',
      status: 404,
      ms: expect.any(Number),
      msg: 'request',
    },
  ])
  expect(stdout()).toMatch(/^Serving features of project demo on http:\/\/127\.0\.0\.1:\d+/)
})

it('--no-access-log leaves requests out', async () => {
  const { port, child, exited, stderr } = await startServing(folder, ['--no-access-log'])
  await ask({ ...LOOKUP, port })
  child.kill('SIGTERM')
  await exited
  expect(stderr()).not.toContain('get-online-features')
})

it('a reader of the log that stands still holds up neither answers nor the end', async () => {
  const child = startFeast(folder, ['serve', '--port', '0'])
  const exited = once(child, 'exit')
  child.stderr.pause()
  const [ready] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(/http:\/\/[^\s:]+:(\d+)/.exec(String(ready))![1])
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  // 1 MB of lines: a pipe holds 64 KB.
  const path = `/${'x'.repeat(200)}`
  const statuses = await Promise.all(
    Array.from({ length: 3000 }, async () => (await ask({ port, agent, path })).status),
  )
  agent.destroy()
  expect(statuses.filter((status) => status !== 404)).toEqual([])
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
})

it('what is wrong before it serves is said as by every command', async () => {
  const { code, stderr } = await runFeast(folder, ['serve', '--key', 'nowhere.pem', '--cert', 'nowhere.pem'])
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^Error: nowhere\.pem: ENOENT/m),
  })
})
