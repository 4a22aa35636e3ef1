import type { ChildProcess } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import { linearModel } from '../models/onnx-builder.js'
import { makeStore } from '../server/fixture.js'
import { ask, startServing } from '../server/serving-process.js'

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-decisions-'))
  await (await makeStore(folder, 'ignore')).close()
  // Long enough that nobody finds anything by looking every now and then.
  const yaml = '\nmodels: { poll_interval_s: 3600, inference: { workers: 1, timeout_ms: 20000 } }\n'
  appendFileSync(join(folder, 'feature_store.yaml'), yaml)
})
let child: ChildProcess | undefined
afterEach(() => {
  if (child?.exitCode === null) child.kill('SIGKILL')
})
afterAll(() => rmSync(folder, { recursive: true }))

it('what is decided at one of several processes is in force at all of them when it is answered', async () => {
  const serving = await startServing(folder, ['--no-access-log', '--no-grpc', '--workers', '3'])
  child = serving.child
  const { port } = serving
  const post = async (path: string, body: object) => {
    const answer = await ask({ port, method: 'POST', path: `/models/m/${path}`, body: JSON.stringify(body) })
    expect({ path, text: answer.text, status: Math.floor(answer.status! / 100) }).toMatchObject({ status: 2 })
  }
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [1] }]
  const question = { port, method: 'POST', path: '/v2/models/m/infer', body: JSON.stringify({ inputs }) }
  /** On a connection of its own each, so that every process is asked. */
  const answers = async () => {
    const all = await Promise.all(Array.from({ length: 30 }, () => ask(question)))
    return [
      ...new Set(all.map(({ status, text }) => (status === 200 ? JSON.parse(text).model_version : status))),
    ]
  }
  for (const version of ['1', '2']) {
    const artifact = { base64: linearModel([Number(version)]).toString('base64') }
    await post('versions', { artifact })
    await post(`versions/${version}/approval`, { status: 'approved', deploy: true })
    expect(await answers()).toEqual([version])
  }
  await post('rollback', {})
  expect(await answers()).toEqual(['1'])
  await post('versions/1/approval', { status: 'revoked' })
  expect(await answers()).toEqual([404])
  serving.child.kill('SIGTERM')
  expect((await serving.exited)[0]).toBe(0)
}, 60_000)
