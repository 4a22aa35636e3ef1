import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '../../src/core/logger.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { entity, Float64, featureService, featureView, fileSource, Int64, pick } from '../../src/index.js'
import { openTraining } from '../../src/training/index.js'
import type { TrainingParts } from '../../src/training/start-run.js'
import type { ModelCandidate, ModelCandidates } from '../../src/training/training-trigger.js'
import { repoOf, Workbench } from '../feature-store/workbench.js'

/** Steps as programs of Node: they read and write where the environment says, as on SageMaker. */
const STEPS: Readonly<Record<string, string>> = {
  'preprocess.mjs': `
    import { copyFileSync, existsSync, readdirSync } from 'node:fs'
    const { FEAST_INPUT_DATASET: from, FEAST_OUTPUT_TRAIN: train, FEAST_OUTPUT_VALIDATION: validation } = process.env
    for (const file of readdirSync(from)) for (const to of [train, validation]) copyFileSync(from + '/' + file, to + '/' + file)
    console.log('preprocessed', readdirSync(train).join())`,
  'train.mjs': `
    import { appendFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
    appendFileSync(process.env.TRAIN_COUNT, process.pid + '\\n')
    if (existsSync(process.env.TRAIN_COUNT + '.hang')) await new Promise((wake) => setTimeout(wake, 60000))
    if (existsSync(process.env.TRAIN_COUNT + '.fail')) throw new Error('no convergence')
    const { SM_CHANNEL_TRAIN: train, SM_MODEL_DIR: model, SM_HPS: hps, SM_HP_ETA: eta } = process.env
    if (readdirSync(train).length === 0) throw new Error('no data')
    writeFileSync(model + '/model.onnx', JSON.stringify({ hps: JSON.parse(hps), eta }))`,
  'evaluate.mjs': `
    import { readFileSync, writeFileSync } from 'node:fs'
    const { FEAST_INPUT_MODEL: model, FEAST_OUTPUT_METRICS: metrics } = process.env
    const { eta } = JSON.parse(readFileSync(model + '/model.onnx', 'utf8'))
    writeFileSync(metrics + '/metrics.json', JSON.stringify({ auc: 1 - Number(eta), note: 'text is no metric' }))`,
}

/** A pipeline of these steps; with an eta of 0.5 the model does not pass the gate. */
export const FRAUD_YAML = `name: fraud
description: who may pay
inputs: { eta: { type: float, default: 0.5 } }
dataset: { feature_service: fraud, entities: { file: labels.parquet } }
steps:
  - preprocess: { command: [node, preprocess.mjs], outputs: [train, validation] }
  - train: { command: [node, train.mjs], inputs: { train: preprocess.train }, hyperparameters: { eta: "{{inputs.eta}}" } }
  - evaluate: { command: [node, evaluate.mjs], inputs: { model: train.model }, metrics: metrics.json }
gate: { all: [{ metric: auc, min: 0.75 }] }
register: { model: fraud }
`

/** What a model registry was asked for. */
export class Candidates implements ModelCandidates {
  readonly registered: ModelCandidate[] = []
  champion: Readonly<Record<string, number>> | undefined

  async metricsOf(): Promise<Readonly<Record<string, number>> | undefined> {
    return this.champion
  }

  async register(candidate: ModelCandidate): Promise<string> {
    const known = this.registered.findIndex(({ clientToken }) => clientToken === candidate.clientToken)
    if (known >= 0) return `fraud/${known + 1}`
    return `fraud/${this.registered.push(candidate)}`
  }
}

/** A feature repo with labels and the feature service "fraud", and the steps of the pipeline. */
export async function trainingBench(yaml = ''): Promise<{ bench: Workbench; store: FeatureStore }> {
  const bench = new Workbench(yaml)
  mkdirSync(join(bench.path, 'pipelines'))
  for (const [file, code] of Object.entries(STEPS)) writeFileSync(join(bench.path, 'pipelines', file), code)
  await bench.parquet(
    'spending.parquet',
    `SELECT range AS user_id, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS event_timestamp, range * 1.5 AS amount FROM range(10)`,
  )
  await bench.parquet(
    'labels.parquet',
    `SELECT range AS user_id, TIMESTAMPTZ '2024-01-02 00:00:00+00' AS event_timestamp, (range % 2)::BIGINT AS label FROM range(10)`,
  )
  const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
  const spending = featureView({
    name: 'spending',
    entities: [user],
    ttl: '30d',
    schema: { amount: Float64 },
    source: fileSource({ path: 'spending.parquet', timestampField: 'event_timestamp' }),
  })
  const fraud = featureService({ name: 'fraud', features: [pick(spending, 'amount')] })
  const store = await bench.open()
  await store.apply(repoOf(user, spending, fraud))
  return { bench, store }
}

export async function openParts(store: FeatureStore, candidates: ModelCandidates): Promise<TrainingParts> {
  return openTraining(store, { candidates, logger: silentLogger })
}
