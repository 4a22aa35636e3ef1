import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { containerJobs } from '../aws-emulator/container-jobs.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { EmulatedStepFunctions } from '../aws-emulator/step-functions.js'
import { runFeast, startFeast } from '../cli/run-feast.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

let folder: string
let repo: string
let emulator: AwsEmulator
const feast = (...args: string[]) => runFeast(repo, args, EMULATOR_CREDENTIALS)

/** The example of feature_repo/ as a team on AWS has it: registry, models, code and runs in S3, jobs elsewhere. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-models-'))
  repo = join(folder, 'repo')
  cpSync(join(root, 'feature_repo'), repo, {
    recursive: true,
    filter: (path) => !path.startsWith(join(root, 'feature_repo/data')),
  })
  rmSync(join(repo, 'pipelines/fraud-sklearn.yaml'))
  const { writeSampleData } = (await import(join(root, 'scripts/sample-data.mjs'))) as {
    writeSampleData(folder: string): Promise<object>
  }
  await writeSampleData(join(repo, 'data'))
  const s3 = new EmulatedS3(join(folder, 's3'), { buckets: ['acme'] })
  const task = containerJobs({
    s3,
    program: [process.execPath, join(root, 'dist/cli.js'), '-c', repo],
    environment: EMULATOR_CREDENTIALS,
    packages: join(root, 'node_modules'),
  })
  const states = new EmulatedStepFunctions({ region: 'us-east-1', account: '123456789012', task })
  emulator = await new AwsEmulator([states, s3]).start()
  writeFileSync(
    join(repo, 'feature_store.yaml'),
    `project: wallet
registry: s3://acme/registry/registry.pb
provider: aws
online_store: { type: sqlite, path: data/online_store.db }
offline_store: { type: duckdb }
entity_key_serialization_version: 3
aws: { region: us-east-1, endpoint: "${emulator.endpoint}" }
batch_engine: { type: aws_batch, queue: feast, job_definition: feast }
training:
  type: step_functions
  role_arn: arn:aws:iam::123456789012:role/feast
  runs_uri: s3://acme/runs
  code_uri: s3://acme/code
  image: registry.example/train:1
models:
  registry: { type: object_store, uri: s3://acme/models }
  approval: { four_eyes: true }
`,
  )
})
afterAll(async () => {
  await emulator?.stop()
  rmSync(folder, { recursive: true, force: true })
})

it('a pipeline on Step Functions trains, a person approves, the server predicts', async () => {
  for (const args of [
    ['apply'],
    ['materialize-incremental', new Date().toISOString()],
    ['pipeline', 'deploy', 'fraud'],
  ]) {
    const done = await feast(...args)
    expect({ args, code: done.code, stderr: done.stderr }).toMatchObject({ code: 0 })
  }
  const trained = await feast('pipeline', 'run', 'fraud', '--run', 'first', '--wait', '--json')
  expect(trained).toMatchObject({ code: 0 })
  expect(JSON.parse(trained.stdout)).toMatchObject({
    status: 'succeeded',
    outcome: 'registered',
    metrics: { auc: expect.any(Number) },
  })
  // Whoever started the run registered its model, and does not approve it.
  expect(await feast('models', 'approve', 'fraud', '1', '-m', 'mine', '--deploy')).toMatchObject({ code: 1 })
  const other = { ...EMULATOR_CREDENTIALS, FEAST_USER: 'bea' }
  expect(
    await runFeast(repo, ['models', 'approve', 'fraud', '1', '-m', 'looked at', '--deploy'], other),
  ).toMatchObject({ code: 0 })
  const server = startFeast(
    repo,
    ['serve', '--port', '0', '--no-grpc', '--no-access-log'],
    EMULATOR_CREDENTIALS,
  )
  try {
    const url = await urlIn(server.stdout)
    const body = { model: 'fraud', entities: { user_id: [7, 8] }, request_data: { amount: [250, 12] } }
    const reply = await fetch(`${url}/predict`, { method: 'POST', body: JSON.stringify(body) })
    expect(await reply.json()).toMatchObject({
      model: 'fraud',
      version: '1',
      predictions: [{ probability: expect.any(Number) }, { probability: expect.any(Number) }],
    })
  } finally {
    const ended = new Promise((resolve) => server.once('close', resolve))
    server.kill('SIGTERM')
    await ended
  }
}, 240_000)

async function urlIn(stream: NodeJS.ReadableStream): Promise<string> {
  let said = ''
  for await (const chunk of stream) {
    said += String(chunk)
    const url = /https?:\/\/[\w.]+:\d+/.exec(said)?.[0]
    if (url) return url
  }
  throw new Error(`the server ended: ${said}`)
}
