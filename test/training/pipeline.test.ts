import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { loadPipelines } from '../../src/training/load-pipelines.js'
import { type Pipeline, pipeline } from '../../src/training/pipeline.js'
import { paramsOf, sqlLiteral } from '../../src/training/run-params.js'
import { jobPrefix, makeRunId } from '../../src/training/run-request.js'
import { FRAUD } from './pipelines.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feast-pipelines-'))
  mkdirSync(join(folder, 'pipelines'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (file: string, text: string) => writeFileSync(join(folder, 'pipelines', file), text)

const YAML = `
name: fraud
inputs:
  eta: { type: float, default: 0.2 }
dataset:
  feature_service: fraud
  entities: { sql: "SELECT * FROM labels WHERE eta > {{inputs.eta}}" }
steps:
  - preprocess: { command: [node, pre.mjs], outputs: [train] }
  - train: { command: [node, train.mjs], inputs: { train: preprocess.train }, hyperparameters: { eta: "{{inputs.eta}}" } }
  - evaluate: { command: [node, eval.mjs], inputs: { model: train.model }, metrics: metrics.json }
gate: { all: [{ metric: auc, min: 0.75 }] }
register: { model: fraud }
`

describe('pipelines of a repo', () => {
  it('are read from YAML and TypeScript alike', async () => {
    put('fraud.yaml', YAML)
    put(
      'other.ts',
      `import { pipeline } from 'feast-node'\nexport const other = pipeline(${JSON.stringify({ ...FRAUD, name: 'other' })})`,
    )
    put('train.mjs', 'process.exit(1) // a step, not a definition')
    const found = await loadPipelines(folder)
    expect([...found.keys()].sort()).toEqual(['fraud', 'other'])
    expect(found.get('other')).toEqual(pipeline({ ...FRAUD, name: 'other' }))
    expect(found.get('fraud')!.steps[0]!.inputs).toEqual({ dataset: 'dataset' })
  })

  it('none without a folder', async () => {
    rmSync(join(folder, 'pipelines'), { recursive: true })
    expect((await loadPipelines(folder)).size).toBe(0)
  })

  it.each([
    [
      'an unknown key',
      YAML.replace('outputs: [train]', 'outputs: [train], retries: 3'),
      /pipelines\/fraud\.yaml:\d+:\d+: steps\.0\.preprocess\.retries/,
    ],
    [
      'a type that there is not',
      YAML.replace('type: float', 'type: number'),
      /pipelines\/fraud\.yaml:4:10: inputs\.eta\.type/,
    ],
    [
      'an input of a step that nothing makes',
      YAML.replace('train: preprocess.train', 'train: preprocess.tarin'),
      /"preprocess\.tarin", which nothing before it makes/,
    ],
    [
      'a placeholder without an input',
      YAML.replace('eta > {{inputs.eta}}', 'x > {{inputs.etta}}'),
      /"\{\{inputs\.etta\}\}" is no input of the pipeline. Its inputs are eta/,
    ],
    [
      'two training steps',
      YAML.replace('outputs: [train] }', 'outputs: [train], hyperparameters: {} }'),
      /it has 2 training steps/,
    ],
    [
      'a gate without metrics',
      YAML.replace(', metrics: metrics.json', ''),
      /the gate looks at metrics that no step after training writes/,
    ],
    [
      'a name that jobs cannot have',
      YAML.replace('name: fraud', 'name: fraud_1'),
      /pipelines\/fraud\.yaml: Pipeline "fraud_1"/,
    ],
    [
      'the name of the workflow that materializes',
      YAML.replace('name: fraud', 'name: materialize'),
      /the name is taken/,
    ],
  ])('%s is said with its place', async (_, text, message) => {
    put('fraud.yaml', text)
    await expect(loadPipelines(folder)).rejects.toThrow(message)
  })

  it('two of a name', async () => {
    put('a.yaml', YAML)
    put('b.yaml', YAML)
    await expect(loadPipelines(folder)).rejects.toThrow(
      /defined in pipelines\/a\.yaml and in pipelines\/b\.yaml/,
    )
  })
})

describe('inputs of a run', () => {
  const made: Pipeline = pipeline({
    ...FRAUD,
    inputs: {
      eta: { type: 'float', default: 0.2 },
      depth: { type: 'int' },
      since: { type: 'timestamp', default: '2024-01-01' },
      note: { type: 'string', default: '' },
      full: { type: 'bool', default: false },
    },
  })

  it('are texts, defaults filled in', () => {
    expect(paramsOf(made, { depth: '5', since: '2024-02-01T10:00:00+02:00', full: true })).toEqual({
      eta: '0.2',
      depth: '5',
      since: '2024-02-01T08:00:00Z',
      note: '',
      full: 'true',
    })
  })

  it('says all that is wrong at once', () => {
    expect(() => paramsOf(made, { eta: 'x', since: 'soon', full: 1, dept: 2 })).toThrow(
      'Pipeline "fraud": "dept" is no input (there are eta, depth, since, note, full); "eta": "x" is no float; "depth" is missing and has no default; "since": "soon" is no timestamp; "full": 1 is no bool.',
    )
  })

  it('cannot leave their SQL literal', () => {
    expect(sqlLiteral('string', "x' OR '1'='1")).toBe("'x'' OR ''1''=''1'")
    expect(sqlLiteral('timestamp', '2024-02-01T08:00:00Z')).toBe("TIMESTAMP '2024-02-01 08:00:00'")
    expect(() => paramsOf(made, { depth: '5; DROP TABLE x' })).toThrow(/is no int/)
  })

  it('run ids fit the names of jobs', () => {
    const id = makeRunId('fraud', { a: '1' }, new Date('2026-11-30T01:02:03.456Z'))
    expect(id).toMatch(/^fraud-20261130t010203z-[0-9a-f]{8}$/)
    const long = makeRunId('a'.repeat(40), {}, new Date())
    expect(jobPrefix(long).length).toBeLessThanOrEqual(38)
    expect(jobPrefix(long)).not.toBe(jobPrefix(`${long}x`))
    expect(jobPrefix(id)).toBe(id)
  })
})
