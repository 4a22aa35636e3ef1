import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { silentLogger } from '../../src/core/logger.js'
import { type RunningServer, startServer } from '../../src/server/serve.js'
import type { Workbench } from '../feature-store/workbench.js'
import { until } from '../until.js'
import { FRAUD_YAML, trainingBench } from './fixture.js'

let bench: Workbench
let server: RunningServer
const marker = (name: string) => join(bench.path, `count${name}`)

beforeAll(async () => {
  ;({ bench } = await trainingBench())
  process.env['TRAIN_COUNT'] = marker('')
  writeFileSync(join(bench.path, 'pipelines/fraud.yaml'), FRAUD_YAML)
  const log = { logger: silentLogger, access: undefined }
  server = await startServer({ store: await bench.open(), log, port: 0 })
})
afterAll(async () => {
  await server?.stop()
  await bench.close()
})

interface Reply {
  readonly status: number
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into as tests expect them
  readonly body: any
}

async function ask(method: string, path: string, body?: object): Promise<Reply> {
  const url = `http://127.0.0.1:${server.port}${path}`
  const answer = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) })
  const text = await answer.text()
  return { status: answer.status, text, body: JSON.parse(text) }
}

const start = (body: object) => ask('POST', '/training-runs', body)
const run = (id: string) => ask('GET', `/training-runs/${id}`)

async function statusOf(id: string, is: (status: string) => boolean): Promise<string> {
  let status = ''
  await until(async () => {
    status = (await run(id)).body.status
    return is(status)
  }, `the end of run ${id}`)
  return status
}
const ended = (id: string) => statusOf(id, (status) => status !== 'running')

it('lists what pipelines there are', async () => {
  expect(await ask('GET', '/pipelines')).toMatchObject({
    status: 200,
    body: [
      {
        name: 'fraud',
        description: 'who may pay',
        inputs: { eta: { type: 'float', default: 0.5 } },
        feature_service: 'fraud',
        steps: ['preprocess', 'train', 'evaluate'],
        model: 'fraud',
      },
    ],
  })
})

it('starts a run once, however often it is asked to, and follows it to its end', async () => {
  const asked = { pipeline: 'fraud', params: { eta: 0.4 }, run_id: 'first' }
  const first = await start(asked)
  expect([first.status, first.body.run_id, first.body.status]).toEqual([202, 'first', 'running'])
  expect((await start(asked)).status).toBe(202)
  expect(await start({ ...asked, params: { eta: 0.3 } })).toMatchObject({ status: 409 })
  expect(await ended('first')).toBe('succeeded')
  expect((await run('first')).body).toMatchObject({
    pipeline: 'fraud',
    outcome: 'gate_failed',
    params: { eta: '0.4' },
    dataset_uri: expect.stringContaining('first/dataset/'),
    metrics: { auc: 0.6 },
    model: null,
    error: null,
    started_at: expect.any(String),
    ended_at: expect.any(String),
  })
  const { body: events } = await ask('GET', '/training-runs/first/events')
  expect(events.filter(({ event }: { event: string }) => event === 'started')).toHaveLength(1)
  expect(events.at(-1)).toMatchObject({ event: 'succeeded' })
  const { body: runs } = await ask('GET', '/training-runs?pipeline=fraud')
  expect(runs.map(({ run_id }: { run_id: string }) => run_id)).toEqual(['first'])
  expect((await ask('GET', '/training-runs?pipeline=other')).body).toEqual([])
})

it('stops a run, and goes on with it', async () => {
  rmSync(marker(''), { force: true })
  writeFileSync(marker('.hang'), '')
  expect((await start({ pipeline: 'fraud', run_id: 'hanging' })).status).toBe(202)
  expect(await ask('POST', '/training-runs/hanging/stop')).toMatchObject({
    status: 200,
    body: { status: 'stopped' },
  })
  expect((await ask('POST', '/training-runs/hanging/stop')).status).toBe(409)
  rmSync(marker('.hang'))
  expect((await ask('POST', '/training-runs/hanging/retry')).status).toBe(202)
  expect(await ended('hanging')).toBe('succeeded')
  expect((await ask('POST', '/training-runs/hanging/retry')).status).toBe(409)
})

it.each<[string, string, string, object | undefined, number, RegExp]>([
  [
    'no pipeline of that name',
    'POST',
    '/training-runs',
    { pipeline: 'frauds' },
    404,
    /Did you mean \\\\\\"fraud/,
  ],
  [
    'a wrong value',
    'POST',
    '/training-runs',
    { pipeline: 'fraud', params: { eta: 'x' } },
    400,
    /is no float/,
  ],
  [
    'an input that is none',
    'POST',
    '/training-runs',
    { pipeline: 'fraud', params: { beta: 1 } },
    400,
    /beta/,
  ],
  [
    'SQL of the caller',
    'POST',
    '/training-runs',
    { pipeline: 'fraud', entities: { sql: 'SELECT 1' } },
    422,
    /entities/,
  ],
  [
    'an id that is none',
    'POST',
    '/training-runs',
    { pipeline: 'fraud', run_id: '../x' },
    400,
    /no id of a run/,
  ],
  ['no body', 'POST', '/training-runs', undefined, 422, /pipeline|body/],
  ['no such run', 'GET', '/training-runs/none', undefined, 404, /There is no run/],
  ['no such run to stop', 'POST', '/training-runs/none/stop', undefined, 404, /There is no run/],
  ['no such run to go on with', 'POST', '/training-runs/none/retry', undefined, 404, /There is no run/],
  ['no such run to tell of', 'GET', '/training-runs/none/events', undefined, 404, /There is no run/],
])('%s is told', async (_, method, path, body, status, why) => {
  expect(await ask(method, path, body)).toMatchObject({ status, text: expect.stringMatching(why) })
})
