import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { thisProcess } from '../../src/core/process-identity.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import type { LocalTrigger } from '../../src/training/local/local-trigger.js'
import { pipeline } from '../../src/training/pipeline.js'
import { startRun, type TrainingParts } from '../../src/training/start-run.js'
import { errorOf, runSql, type Workbench } from '../feature-store/workbench.js'
import { until } from '../until.js'
import { Candidates, openParts, trainingBench } from './fixture.js'
import { FRAUD } from './pipelines.js'

let bench: Workbench
let store: FeatureStore
let candidates: Candidates
let parts: TrainingParts
let scratch: string
const labels = () => join(bench.path, 'labels.parquet')
const fraud = () =>
  pipeline({
    ...FRAUD,
    dataset: { ...FRAUD.dataset, entities: { sql: `SELECT * FROM read_parquet('${labels()}')` } },
  })
const marker = (name: string) => `${process.env['TRAIN_COUNT']}${name}`
const trainings = () => readFileSync(marker(''), 'utf8').trim().split('\n').length

beforeAll(async () => {
  ;({ bench, store } = await trainingBench())
})
afterAll(() => bench.close())
beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'feast-training-'))
  process.env['TRAIN_COUNT'] = join(scratch, 'count')
  candidates = new Candidates()
  parts = await openParts(store, candidates)
})
afterEach(async () => {
  await parts.trigger.close()
  rmSync(scratch, { recursive: true, force: true })
})

const trigger = () => parts.trigger as LocalTrigger
async function finished(runId: string) {
  await trigger().ended(runId)
  return parts.trigger.describe(runId)
}

/** Waits until the training step is at work. */
function training(): Promise<void> {
  const isAtWork = () => existsSync(marker('')) && readFileSync(marker(''), 'utf8').endsWith('\n')
  return until(isAtWork, 'training')
}

describe('a run on this machine', () => {
  it('joins the dataset, runs the steps, passes the gate, registers once', async () => {
    const { runId } = await startRun(parts, { startedBy: 'ann', pipeline: fraud(), params: { eta: 0.1 } })
    const run = await finished(runId)
    expect(run).toMatchObject({
      pipeline: 'fraud',
      status: 'succeeded',
      outcome: 'registered',
      metrics: { auc: 0.9 },
      model: 'fraud/1',
    })
    expect(run.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'preprocess done',
      'train done',
      'evaluate done',
      'ReadMetrics done',
      'Gate done',
      'Register done',
      'Registered done',
    ])
    expect(candidates.registered).toEqual([
      expect.objectContaining({
        model: 'fraud',
        featureService: 'fraud',
        metrics: { auc: 0.9 },
        params: { eta: '0.1', since: '2020-01-01T00:00:00Z' },
        rejected: false,
        run: expect.objectContaining({ runId, pipeline: 'fraud', datasetRows: 10 }),
      }),
    ])
    expect(JSON.parse(readFileSync(candidates.registered[0]!.file, 'utf8'))).toEqual({
      hps: { max_depth: '5', eta: '0.1' },
      eta: '0.1',
    })
    const dataset = join(bench.path, 'data/runs', runId, 'dataset/data.parquet')
    expect(
      await runSql(`SELECT count(*) AS n, sum(amount) AS total, sum(label) AS ones FROM '${dataset}'`),
    ).toEqual([{ n: '10', total: 67.5, ones: '5' }])
    expect(readFileSync(join(bench.path, 'data/runs', runId, 'preprocess/log.txt'), 'utf8')).toBe(
      'preprocessed data.parquet\n',
    )
    const again = await startRun(parts, { startedBy: 'ann', pipeline: fraud(), params: { eta: 0.1 }, runId })
    expect(again.status).toBe('succeeded')
    expect(trainings()).toBe(1)
    const other = errorOf(
      startRun(parts, { startedBy: 'ann', pipeline: fraud(), params: { eta: 0.3 }, runId }),
    )
    expect(await other).toMatchObject({ code: 'TRAINING_RUN_CONFLICT' })
  })

  it('below the gate, or no better than the champion: no version, and no failure', async () => {
    const low = await startRun(parts, {
      startedBy: 'ann',
      pipeline: fraud(),
      params: { eta: 0.5 },
      runId: 'low',
    })
    expect(await finished(low.runId)).toMatchObject({
      status: 'succeeded',
      outcome: 'gate_failed',
      model: undefined,
    })
    candidates.champion = { auc: 0.95 }
    await startRun(parts, { startedBy: 'ann', pipeline: fraud(), params: { eta: 0.1 }, runId: 'worse' })
    expect(await finished('worse')).toMatchObject({ status: 'succeeded', outcome: 'gate_failed' })
    expect(candidates.registered).toEqual([])
  })

  it('a step that fails ends it with the last it said; a retry goes on there', async () => {
    writeFileSync(marker('.fail'), '')
    await startRun(parts, { startedBy: 'ann', pipeline: fraud(), runId: 'failing' })
    const failed = await finished('failing')
    expect(failed).toMatchObject({
      status: 'failed',
      error: expect.stringMatching(/exit code 1[\s\S]*no convergence/),
    })
    expect(failed.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'preprocess done',
      'train failed',
    ])
    rmSync(marker('.fail'))
    await parts.trigger.retry(fraud(), 'failing')
    expect(await finished('failing')).toMatchObject({ status: 'succeeded', outcome: 'registered' })
    expect(trainings()).toBe(2)
    const log = await parts.trigger.events('failing')
    expect(log.filter(({ state, event }) => state === 'preprocess' && event === 'entered')).toHaveLength(1)
    expect(await errorOf(parts.trigger.retry(fraud(), 'failing'))).toMatchObject({
      code: 'TRAINING_RUN_CONFLICT',
    })
  })

  it('one whose log cannot be written fails, and harms nothing else', async () => {
    mkdirSync(join(bench.path, 'data/runs/logless/train/log.txt'), { recursive: true })
    await startRun(parts, { startedBy: 'ann', pipeline: fraud(), runId: 'logless' })
    expect(await finished('logless')).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('EISDIR'),
    })
  })

  it('is stopped with its subprocess', async () => {
    writeFileSync(marker('.hang'), '')
    await startRun(parts, { startedBy: 'ann', pipeline: fraud(), runId: 'hanging' })
    await training()
    expect(await parts.trigger.describe('hanging')).toMatchObject({ status: 'running' })
    expect(await errorOf(parts.trigger.retry(fraud(), 'hanging'))).toMatchObject({
      code: 'TRAINING_RUN_CONFLICT',
    })
    await parts.trigger.stop('hanging')
    expect(await parts.trigger.describe('hanging')).toMatchObject({ status: 'stopped' })
    const pid = Number(readFileSync(marker(''), 'utf8'))
    await until(() => isGone(pid), 'its end')
    expect(await errorOf(parts.trigger.stop('hanging'))).toMatchObject({ code: 'TRAINING_RUN_CONFLICT' })
  })

  it('an interrupted one goes on in another process', async () => {
    writeFileSync(marker('.hang'), '')
    await startRun(parts, { startedBy: 'ann', pipeline: fraud(), runId: 'interrupted' })
    await training()
    await parts.trigger.close()
    parts = await openParts(store, candidates)
    // It was killed, and its number is another process's by now, as in a container that was started again.
    const earlier = { ...thisProcess(), pid: process.ppid, startTime: '1' }
    writeFileSync(join(bench.path, 'data/runs/interrupted/runner.json'), JSON.stringify(earlier))
    expect(await parts.trigger.describe('interrupted')).toMatchObject({ status: 'interrupted' })
    rmSync(marker('.hang'))
    await parts.trigger.retry(fraud(), 'interrupted')
    expect(await finished('interrupted')).toMatchObject({ status: 'succeeded', outcome: 'registered' })
    expect(candidates.registered).toHaveLength(1)
  })

  it('runs are listed, newest first; one that there is not is said', async () => {
    const runs = await parts.trigger.list('fraud')
    expect(runs.length).toBeGreaterThan(3)
    expect([...runs].sort((a, b) => b.startedAt.localeCompare(a.startedAt))).toEqual(runs)
    expect(await parts.trigger.list('other')).toEqual([])
    expect(await errorOf(parts.trigger.describe('none'))).toMatchObject({ code: 'TRAINING_RUN_NOT_FOUND' })
    expect(await errorOf(parts.trigger.describe('../x'))).toMatchObject({ code: 'TRAINING_RUN_NOT_FOUND' })
  })

  it('a wrong request makes nothing', async () => {
    expect(
      await errorOf(
        startRun(parts, { startedBy: 'ann', pipeline: fraud(), params: { eta: 'x' }, runId: 'wrong' }),
      ),
    ).toMatchObject({ code: 'INVALID_REQUEST' })
    expect(
      await errorOf(startRun(parts, { startedBy: 'ann', pipeline: fraud(), runId: 'Wrong_Id' })),
    ).toMatchObject({
      code: 'INVALID_REQUEST',
    })
    const none = pipeline({
      ...FRAUD,
      dataset: {
        ...FRAUD.dataset,
        entities: { sql: `SELECT * FROM read_parquet('${labels()}') WHERE user_id < 0` },
      },
    })
    expect(
      await errorOf(startRun(parts, { startedBy: 'ann', pipeline: none, runId: 'empty' })),
    ).toMatchObject({
      message: expect.stringMatching(/has no rows/),
    })
    expect(existsSync(join(bench.path, 'data/runs/wrong'))).toBe(false)
  })
})

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
