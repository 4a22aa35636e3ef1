import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { runSql } from '../feature-store/workbench.js'
import { node, onnxModel, tensorInfo } from '../models/onnx-builder.js'
import { runFeast } from './run-feast.js'

let folder: string
const feast = (...args: string[]) => runFeast(folder, args)

const DEFINITIONS = (features: string, service: boolean) => `
import { entity, featureService, featureView, fileSource, Float64, Int64 } from 'feast-node'
export const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
export const spending = featureView({
  name: 'spending', entities: [user], schema: { ${features} },
  source: fileSource({ path: 'spending.parquet', timestampField: 'event_timestamp' }),
})
${service ? "export const fraud = featureService({ name: 'fraud', features: [spending] })" : ''}
`
const define = (features: string, service = true) =>
  writeFileSync(join(folder, 'features.ts'), DEFINITIONS(features, service))

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-risk-'))
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'feature_store.yaml'),
    'project: demo\nregistry: data/registry.db\nonline_store: { type: sqlite, path: data/online.db }\nentity_key_serialization_version: 3\nmodels: {}\n',
  )
  await runSql(
    `COPY (SELECT 1::BIGINT AS user_id, now() AS event_timestamp, 1.5::DOUBLE AS amount, 2.5::DOUBLE AS other) TO '${join(folder, 'spending.parquet')}' (FORMAT parquet)`,
  )
  define('amount: Float64, other: Float64')
  const model = onnxModel({
    nodes: [node('Sigmoid', ['amount'], ['score'])],
    inputs: [tensorInfo('amount', 'float32', ['N', 1])],
    outputs: [tensorInfo('score', 'float32', ['N', 1])],
  })
  writeFileSync(join(folder, 'model.onnx'), model)
  expect(await feast('apply')).toMatchObject({ code: 0 })
  expect(await feast('models', 'register', 'fraud', 'model.onnx', '-s', 'fraud')).toMatchObject({ code: 0 })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('says which served models read what a plan takes away', async () => {
  define('other: Float64')
  // Nobody has approved it: it is not served.
  expect((await feast('plan', '--prune')).stderr).not.toMatch(/Warning: model/)
  expect(await feast('models', 'approve', 'fraud', '1', '-m', 'ok', '--deploy')).toMatchObject({ code: 0 })
  expect((await feast('plan')).stderr).toContain(
    'Warning: model fraud version 1 (champion) reads spending:amount, about to go',
  )
  define('amount: Float64')
  expect((await feast('plan')).stderr).not.toMatch(/Warning: model/)
  define('amount: Float64, other: Float64', false)
  const pruned = await feast('apply', '--prune', '--yes')
  expect(pruned).toMatchObject({ code: 0 })
  expect(pruned.stderr).toContain(
    'Warning: model fraud version 1 (champion) takes the features of fraud, which is about to go',
  )
})

it('says which models read a feature', async () => {
  define('amount: Float64, other: Float64')
  expect(await feast('apply')).toMatchObject({ code: 0 })
  const uses = await feast('models', 'uses', 'spending:amount', '--json')
  expect(JSON.parse(uses.stdout)).toEqual([
    {
      model: 'fraud',
      version: 1,
      status: 'approved',
      aliases: ['champion'],
      featureService: 'fraud',
      through: ['amount'],
    },
  ])
  expect((await feast('models', 'uses', 'spending:amount')).stdout).toMatch(
    /^fraud +1 +approved +champion +fraud +amount$/m,
  )
  expect(await feast('models', 'uses', 'spending:other')).toMatchObject({
    code: 0,
    stdout: 'No model reads spending:other.\n',
  })
  expect(await feast('models', 'uses', 'spending:amounts')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('amounts'),
  })
})

it('compares, decides, rolls back, and remembers', async () => {
  const done = async (...args: string[]) => {
    const { code, stdout, stderr } = await feast('models', ...args)
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: expect.anything() })
    return stdout
  }
  const json = async (...args: string[]) => JSON.parse(await done(...args, '--json'))
  for (const auc of ['0.8', '0.9'])
    await done('register', 'fraud', 'model.onnx', '-s', 'fraud', '--metric', `auc=${auc}`)
  expect(await json('compare', 'fraud', '2', '3')).toMatchObject({
    metrics: [{ metric: 'auc', a: 0.8, b: 0.9, better: 'b' }],
  })
  await done('reject', 'fraud', '2', '-m', 'not enough')
  expect(await feast('models', 'approve', 'fraud', '2')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/is rejected since .*; only a pending one can be approved/),
  })
  await done('alias', 'fraud', 'challenger', '3', '-m', 'to look at')
  expect(await json('describe', 'fraud', 'challenger')).toMatchObject({ version: 3, status: 'pending' })
  await done('approve', 'fraud', '3', '-m', 'better', '--deploy')
  expect(await json('history', 'fraud', '--at', new Date().toISOString())).toMatchObject({ version: 3 })
  await done('rollback', 'fraud', '-m', 'slow')
  await done('revoke', 'fraud', '3', '-m', 'wrong labels')
  expect(await json('list', 'fraud', '--status', 'revoked')).toMatchObject([
    { model: 'fraud', versions: [{ version: 3, status: 'revoked' }] },
  ])
  const history: readonly Record<string, unknown>[] = await json('history', 'fraud')
  expect(history.slice(-4)).toMatchObject([
    { action: 'approve', version: 3, comment: 'better', from: 'pending', to: 'approved' },
    { action: 'deploy', version: 3, from_version: 1 },
    { action: 'rollback', version: 1, from_version: 3, comment: 'slow' },
    { action: 'revoke', version: 3, comment: 'wrong labels' },
  ])
})

it('finds what was changed behind its back', async () => {
  expect(await feast('models', 'verify')).toMatchObject({
    code: 0,
    stdout: '1 model verified: nothing was changed afterwards.\n',
  })
  const [artifact] = readdirSync(join(folder, 'data/models/artifacts'))
  writeFileSync(join(folder, 'data/models/artifacts', artifact!, 'model.onnx'), 'another one')
  expect(await feast('models', 'verify', 'fraud')).toMatchObject({
    code: 1,
    stdout: expect.stringContaining(artifact!),
  })
})
