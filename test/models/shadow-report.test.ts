import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { AwsSettings } from '../../src/core/aws-settings.js'
import { field } from '../../src/core/field.js'
import { parseInstant } from '../../src/core/instant.js'
import { silentLogger } from '../../src/core/logger.js'
import { ArrayOf, Float64, Int64, StringType, UnixTimestamp } from '../../src/core/value-type.js'
import type { ModelManifest } from '../../src/models/model-manifest.js'
import { modelsConfig } from '../../src/models/models-config.js'
import { type LoggedValue, PredictionLog, type PredictionRow } from '../../src/models/prediction-log.js'
import { shadowReport } from '../../src/models/shadow-report.js'
import { stabilityIndex } from '../../src/models/stability-index.js'
import { openObjectStore } from '../../src/object-stores/index.js'
import { writeBatches } from '../../src/offline-stores/index.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { runFeast } from '../cli/run-feast.js'
import { until } from '../until.js'
import { manifestOf } from './model-fixture.js'
import { type ModelServer, openModelServer } from './model-server.js'
import { linearModel } from './onnx-builder.js'

const NOON = parseInstant('2026-11-29T12:00:00Z', '')
const TIME = {
  from: parseInstant('2026-11-29T00:00:00Z', ''),
  to: parseInstant('2026-11-30T00:00:00Z', ''),
}

const score = (cell: number | null): LoggedValue => ({ name: 'score', type: Float64, cell })
const label = (cell: bigint): LoggedValue => ({ name: 'label', type: Int64, cell })
const probability = (of: string, cell: number): LoggedValue => ({
  name: `probabilities__${of}`,
  type: Float64,
  cell,
})

/** One row of request `id`. */
function row(id: number, version: string, values: readonly LoggedValue[], more: Partial<PredictionRow> = {}) {
  return {
    eventTimestamp: NOON + BigInt(id) * 1000n,
    requestId: `request ${id}`,
    row: 0,
    model: 'm',
    version,
    role: version === '1' ? 'champion' : 'shadow',
    featureService: 's',
    registryVersion: '1',
    latencyMicros: 2000,
    inferMicros: 500,
    error: undefined,
    imputed: [],
    values,
    ...more,
  } as const satisfies PredictionRow
}

const REGRESSOR = manifestOf('m', Buffer.alloc(0), {
  outputs: [{ tensor: 'score', type: 'float32', shape: [-1, 1] }],
})
const CLASSIFIER = manifestOf('m', Buffer.alloc(0), {
  outputs: [
    { tensor: 'label', type: 'int64', shape: [-1] },
    { tensor: 'probabilities', type: 'float32', shape: [-1, 2], classes: [0, 1] },
  ],
})

describe('a log', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'feast-report-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const configOf = (options: object, aws?: AwsSettings) => ({
    repoPath: folder,
    models: { type: 'models', options: options as never },
    ...(aws && { aws }),
  })

  async function write(rows: readonly PredictionRow[], uri = join(folder, 'log'), aws?: AwsSettings) {
    const { logging } = modelsConfig(configOf({ logging: { uri } }))
    const store = await openObjectStore(uri, 'test', aws)
    const log = new PredictionLog({ config: logging!, store, uri, logger: silentLogger })
    log.add(rows)
    await log.close()
    expect(log.counts).toEqual({ written: rows.length, dropped: 0, waiting: 0, failedWrites: 0 })
    await store.close()
  }

  const report = (
    manifest: (version: string) => ModelManifest,
    options: object = { logging: { uri: 'log' } },
    aws?: AwsSettings,
  ) =>
    shadowReport({
      ...TIME,
      config: configOf(options, aws) as never,
      model: 'm',
      manifest: async (version) => manifest(version),
    })

  it('tells how far numbers are apart, and when they count as different', async () => {
    // 0 to 99; half a percent more in the first half, two percent in the second.
    const ids = Array.from({ length: 100 }, (_, id) => id)
    const other = (id: number) => id * (id < 50 ? 1.005 : 1.02)
    await write([
      ...ids.map((id) => row(id, '1', [score(id)])),
      ...ids.map((id) => row(id, '2', [score(other(id))], { latencyMicros: 8000, inferMicros: 700 })),
    ])
    const { versions, comparisons } = await report(() => REGRESSOR)
    const times = (ms: number) => ({ p50: ms, p95: ms, p99: ms })
    const counts = { requests: 100, rows: 100, failed_rows: 0 }
    expect(versions).toEqual([
      { version: '1', role: 'champion', ...counts, latency_ms: times(2), infer_ms: times(0.5) },
      { version: '2', role: 'shadow', ...counts, latency_ms: times(8), infer_ms: times(0.7) },
    ])
    expect(comparisons).toHaveLength(1)
    const { outputs, ...rest } = comparisons[0]!
    expect(rest).toEqual({
      version: '2',
      against: '1',
      ...counts,
      differing_rows: 50,
      agreement: 0.5,
      outputs_left_out: 0,
    })
    const [only] = outputs
    const differences = ids.map((id) => other(id) - id)
    expect(only).toMatchObject({ output: 'score', kind: 'number', rows: 100, mean_against: 49.5 })
    const { mean, difference, psi, ks } = only as Extract<typeof only, { kind: 'number' }>
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
    expect(mean).toBeCloseTo(sum(ids.map(other)) / 100, 9)
    expect(difference!.mean).toBeCloseTo(sum(differences) / 100, 9)
    expect(difference!.max).toBeCloseTo(1.98, 9)
    expect(Math.abs(difference!.p50 - 0.62)).toBeLessThan(0.5)
    expect(difference!.p99).toBeGreaterThan(1.9)
    // Each value that is the lower one of its pair comes first by at most two places.
    expect(ks).toBeGreaterThan(0)
    expect(ks).toBeLessThanOrEqual(0.03)
    expect(psi).toBeGreaterThanOrEqual(0)
    expect(psi).toBeLessThan(0.02)
  })

  it('tells which labels became which; what is only in one of two, failed, or of another time does not count', async () => {
    const values = (label1: bigint, share: number) => [
      label(label1),
      probability('0', 1 - share),
      probability('1', share),
    ]
    const late = { eventTimestamp: TIME.to }
    await write([
      ...[0, 1, 2, 3, 4].map((id) => row(id, '1', values(0n, 0.25))),
      row(5, '1', [], { error: 'no features', latencyMicros: 90_000, inferMicros: undefined }),
      row(6, '1', values(0n, 0.25), late),
      row(0, '2', values(0n, 0.3)),
      row(1, '2', values(1n, 0.75)),
      row(2, '2', values(1n, 0.75)),
      row(3, '2', [], { error: 'too slow', inferMicros: undefined }),
      // Its answer was not logged.
      row(9, '2', values(1n, 0.75)),
      row(5, '2', values(1n, 0.75)),
      row(6, '2', values(1n, 0.75), late),
    ])
    const { comparisons, versions } = await report(() => CLASSIFIER)
    expect(versions.map(({ role, rows, failed_rows }) => [role, rows, failed_rows])).toEqual([
      ['champion', 6, 1],
      ['shadow', 6, 1],
    ])
    expect(versions[0]!.latency_ms!.p99).toBe(2)
    const [{ outputs, agreement, ...rest }] = comparisons as [(typeof comparisons)[0]]
    expect(rest).toMatchObject({ requests: 4, rows: 3, failed_rows: 1, differing_rows: 2 })
    expect(agreement).toBeCloseTo(1 / 3)
    expect(outputs[0]).toEqual({
      output: 'label',
      kind: 'label',
      rows: 3,
      differing_rows: 2,
      changes: [{ from: '0', to: '1', rows: 2 }],
    })
    expect(outputs.map(({ output, kind, rows }) => [output, kind, rows])).toEqual([
      ['label', 'label', 3],
      ['probabilities__0', 'number', 3],
      ['probabilities__1', 'number', 3],
    ])
    expect((outputs[2] as { difference: { max: number } }).difference.max).toBeCloseTo(0.5)
  })

  it('has rows of one request side by side, and several versions beside each other', async () => {
    const rows = (version: string, factor: number) =>
      [0, 1, 2].map((at) => row(1, version, [score((at + 1) * factor)], { row: at }))
    await write([
      ...rows('1', 1),
      ...rows('2', 1),
      ...rows('3', 2),
      row(2, '4', [score(5)], { role: 'canary' }),
      row(2, '3', [score(5)]),
    ])
    const { comparisons } = await report(() => REGRESSOR)
    expect(
      comparisons.map(({ version, against, requests, rows: count, agreement }) => [
        version,
        against,
        requests,
        count,
        agreement,
      ]),
    ).toEqual([
      ['2', '1', 1, 3, 1],
      ['3', '1', 1, 3, 0],
      ['3', '4', 1, 1, 1],
    ])
  })

  it('compares lists by their elements, and numbers that are none as equal', async () => {
    const vector = (...cells: number[]): LoggedValue => ({
      name: 'vector',
      type: ArrayOf(Float64),
      cell: cells,
    })
    const both = manifestOf('m', Buffer.alloc(0), {
      outputs: [
        { tensor: 'vector', type: 'float32', shape: [-1, 2] },
        { tensor: 'score', type: 'float32', shape: [-1] },
      ],
    })
    await write([
      row(0, '1', [vector(1, 2), score(null)]),
      row(0, '2', [vector(1, 2.01), score(null)]),
      row(1, '1', [vector(1, 2), score(1)]),
      row(1, '2', [vector(1.5, 2), score(1)]),
      row(2, '1', [vector(1, 2), score(1)]),
      row(2, '2', [vector(1, 2), score(null)]),
    ])
    const [only] = (await report(() => both)).comparisons
    expect(only).toMatchObject({ rows: 3, differing_rows: 2 })
    const [list, number] = only!.outputs
    expect(list).toMatchObject({ output: 'vector', kind: 'list', rows: 3, difference: { max: 0.5 } })
    expect(number).toMatchObject({ output: 'score', rows: 1, mean: 1 })
  })

  it('passes over what is redacted, and what is a list in one version and a value in another', async () => {
    const vector: LoggedValue = { name: 'score', type: ArrayOf(Float64), cell: [1, 2] }
    const more = manifestOf('m', Buffer.alloc(0), { outputs: [...REGRESSOR.outputs, ...CLASSIFIER.outputs] })
    await write([
      row(0, '1', [score(1), label(1n)]),
      row(0, '2', [vector, label(1n)]),
      row(1, '1', [score(1), label(1n)]),
      row(1, '3', [score(1), label(1n)]),
    ])
    const { comparisons } = await report(() => more)
    expect(comparisons.map(({ agreement, outputs_left_out: more }) => [agreement, more])).toEqual([
      [1, 3],
      [1, 3],
    ])
    expect(comparisons[0]!.outputs.map(({ output }) => output)).toEqual(['label'])
  })

  it('reads an output that is called as an input where the log has it', async () => {
    const named = manifestOf('m', Buffer.alloc(0), {
      outputs: REGRESSOR.outputs,
      inputs: [
        {
          tensor: 'x',
          type: 'float32',
          shape: [-1, 1],
          features: [{ name: 'score', type: 'DOUBLE', missing: { policy: 'error' } }],
        },
      ],
    })
    const renamed = (cell: number): LoggedValue => ({ name: 'prediction__score', type: Float64, cell })
    await write([row(0, '1', [score(7), renamed(1)]), row(0, '2', [score(3)])])
    const [only] = (await report((version) => (version === '1' ? named : REGRESSOR))).comparisons
    expect(only!.outputs[0]).toMatchObject({ output: 'score', mean_against: 1, mean: 3 })
  })

  it('reads files of a release that did not log the time in the model', async () => {
    const fields = [
      field('event_timestamp', UnixTimestamp),
      ...['request_id', 'version', 'role', 'error'].map((name) => field(name, StringType)),
      ...['request_row', 'latency_us'].map((name) => field(name, Int64)),
      field('score', Float64),
    ]
    const path = join(folder, 'log/model=m/dt=2026-11-29/old.parquet')
    const columns = [
      [NOON, NOON],
      ['a', 'a'],
      ['1', '2'],
      ['champion', 'shadow'],
      [null, null],
      [0n, 0n],
      [1000n, 1000n],
      [0.5, 0.5],
    ]
    const batches = async function* () {
      yield { fields, columns, rowCount: 2 }
    }
    mkdirSync(dirname(path), { recursive: true })
    await writeBatches(path, fields, batches())
    const { versions, comparisons } = await report(() => REGRESSOR)
    expect(versions.map(({ infer_ms }) => infer_ms)).toEqual([null, null])
    expect(comparisons[0]!.agreement).toBe(1)
  })

  it('is read from S3', async () => {
    Object.assign(process.env, EMULATOR_CREDENTIALS)
    const emulator = await new AwsEmulator([new EmulatedS3(join(folder, 's3'), { buckets: ['b'] })]).start()
    try {
      const uri = 's3://b/predictions'
      const old = { eventTimestamp: NOON - 3n * 86_400_000_000n }
      await write(
        [row(0, '1', [score(1)]), row(0, '2', [score(1)]), row(1, '1', [score(1)], old)],
        uri,
        emulator.settings,
      )
      const { comparisons } = await report(() => REGRESSOR, { logging: { uri } }, emulator.settings)
      expect(comparisons[0]).toMatchObject({ rows: 1, agreement: 1 })
    } finally {
      await emulator.stop()
    }
  })

  it('says why there is nothing to tell', async () => {
    const why = async (options: object) => report(() => REGRESSOR, options).catch((error) => error)
    await expect(why({})).resolves.toMatchObject({
      code: 'PREDICTIONS_NOT_LOGGED',
      message: expect.stringContaining('models.logging'),
    })
    await expect(why({ logging: { uri: 'log' } })).resolves.toMatchObject({
      code: 'PREDICTIONS_NOT_LOGGED',
      message: expect.stringMatching(/there is none at .*log between 2026-11-29T00:00:00Z/),
    })
    await write([row(0, '1', [score(1)])])
    await expect(why({ logging: { uri: 'log' } })).resolves.toMatchObject({
      code: 'PREDICTIONS_NOT_LOGGED',
      message: expect.stringContaining('models.serve.m.shadow'),
    })
  })
})

it('the stability index is 0 for equal shares and grows with what moved', () => {
  expect(
    stabilityIndex([
      [10, 20],
      [10, 20],
    ]),
  ).toBe(0)
  // 0.5 and 0.25 of the one are 0.25 and 0.5 of the other: twice a quarter times ln 2.
  expect(
    stabilityIndex([
      [50, 25],
      [25, 50],
      [25, 25],
    ]),
  ).toBeCloseTo(0.5 * Math.log(2))
  expect(
    stabilityIndex([
      [10, 0],
      [0, 10],
    ]),
  ).toBeGreaterThan(5)
})

describe('a server', () => {
  let server: ModelServer
  beforeAll(async () => {
    server = await openModelServer({
      models: `
  inference: { workers: 1, timeout_ms: 5000 }
  logging: { uri: data/predictions, sample: 0.5 }
  serve:
    ranking: { shadow: [challenger], traffic: { canary: 50 } }`,
    })
  })
  afterAll(() => server.close())

  const predict = (drivers: readonly number[]) =>
    server.post('/predict', {
      model: 'ranking',
      entities: { driver_id: drivers },
      options: { partial: true },
    })

  it('logs shadows with what they looked at, whoever answered, and the command tells of them', async () => {
    for (const weights of [
      [1, 0],
      [1, 0],
      [1, 0.5],
    ]) {
      const artifact = { base64: linearModel(weights).toString('base64') }
      await server.post('/models/ranking/versions', { artifact, feature_service: 'numbers' })
    }
    for (const version of [1, 2]) {
      await server.post(`/models/ranking/versions/${version}/approval`, { status: 'approved' })
    }
    await server.post('/models/ranking/deployments', { version: 1 })
    for (const [alias, version] of [
      ['canary', 2],
      ['challenger', 3],
    ]) {
      const url = `/models/ranking/aliases/${alias}`
      await server.app.inject({ method: 'PUT', url, payload: JSON.stringify({ version }) })
    }
    // 3 has no rate. With ids as they are, both versions get some of the rows.
    const drivers = [1, 2, 3, 1, 2]
    const answers = await Promise.all(Array.from({ length: 24 }, () => predict(drivers)))
    expect(
      new Set(answers[0]!.body.metadata.versions.map((one: { version: string }) => one.version)).size,
    ).toBe(2)
    const key = 'ranking\u00003'
    await until(() => server.models.proxy.counts.shadows.get(key)?.compared === 24 * 4, 'all comparisons')
    expect(server.models.proxy.counts.shadows.get(key)).toEqual({
      compared: 24 * 4,
      differing: 24 * 4,
      failed: 0,
    })
    await server.models.log!.flush()
    const { code, stdout, stderr } = await runFeast(server.bench.path, [
      ...['models', 'shadow-report', 'ranking', '--json'],
    ])
    expect([code, stderr]).toEqual([0, ''])
    const { versions, comparisons } = JSON.parse(stdout)
    const shadow = versions.find(({ role }: { role: string }) => role === 'shadow')
    const others = versions.filter(({ role }: { role: string }) => role !== 'shadow')
    // A shadow's run is logged exactly when its answer is.
    const total = (of: string) =>
      others.reduce((sum: number, one: Record<string, number>) => sum + one[of]!, 0)
    const predicted = total('rows') - total('failed_rows')
    expect(shadow.rows - shadow.failed_rows).toBe(predicted)
    expect(predicted).toBeLessThan(24 * 4)
    const compared = comparisons.reduce((sum: number, one: { rows: number }) => sum + one.rows, 0)
    expect(compared).toBe(predicted)
    for (const one of comparisons) expect(one).toMatchObject({ version: '3', agreement: 0 })

    const table = await runFeast(server.bench.path, ['models', 'shadow-report', 'ranking'])
    expect(table.stdout).toMatch(/^VERSION +ROLE +REQUESTS/m)
    expect(table.stdout).toMatch(
      /^Version 3 against 1: \d+ rows of \d+ requests compared, \d+ of them differ \(100\.00 %\)$/m,
    )
    expect(table.stdout).toMatch(/^score +\d+ /m)
    const past = await runFeast(server.bench.path, [
      ...['models', 'shadow-report', 'ranking', '--from', '2020-01-01', '--to', '2020-01-02'],
    ])
    expect([past.code, past.stdout]).toEqual([1, ''])
    expect(past.stderr).toContain('between 2020-01-01T00:00:00Z and 2020-01-02T00:00:00Z')
    const unknown = await runFeast(server.bench.path, ['models', 'shadow-report', 'rankin'])
    expect(unknown.stderr).toContain('There is no model "rankin"')
  })

  it('counts shadows, the log and canaries that were taken out', async () => {
    await server.models.log!.flush()
    const { text } = await server.get('/metrics')
    const value = (line: string) =>
      Number(
        text
          .split('\n')
          .find((one) => one.startsWith(`${line} `))
          ?.split(' ')
          .at(-1),
      )
    expect(value('feast_shadow_compared_total{model="ranking",version="3"}')).toBe(96)
    expect(value('feast_shadow_disagreement_total{model="ranking",version="3"}')).toBe(96)
    expect(value('feast_shadow_failed_total{model="ranking",version="3"}')).toBe(0)
    expect(value('feast_shadow_dropped_total')).toBe(0)
    expect(value('feast_shadow_waiting')).toBe(0)
    expect(value('feast_prediction_log_rows_total')).toBe(server.models.log!.counts.written)
    expect(value('feast_prediction_log_rows_total')).toBeGreaterThan(0)
    expect(value('feast_prediction_log_dropped_total')).toBe(0)
    expect(value('feast_prediction_log_failed_writes_total')).toBe(0)
    expect(value('feast_prediction_log_waiting_rows')).toBe(0)
    expect(text).toContain('# TYPE feast_canary_taken_out_total counter')
  })
})
