import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { Tensor } from '../../src/core/tensor.js'
import {
  createModelHost,
  DEFAULT_INFERENCE,
  type ModelHost,
  type ModelSource,
} from '../../src/models/model-host.js'
import { until } from '../until.js'
import { linearModel, loopingModel, manifestFor, mixedModel } from './onnx-builder.js'

let host: ModelHost
afterEach(() => host.close())

function sourceOf(name: string, version: string, bytes: Buffer): ModelSource {
  return { manifest: manifestFor(bytes, name), version, artifact: async () => bytes }
}

function matrix(...rows: readonly number[][]): ReadonlyMap<string, Tensor> {
  const data = new Float32Array(rows.flat())
  return new Map([['x', { type: 'float32', shape: [rows.length, rows[0]!.length], data }]])
}

function rounds(count: number): ReadonlyMap<string, Tensor> {
  return new Map([['x', { type: 'int64', shape: [1, 1], data: new BigInt64Array([BigInt(count)]) }]])
}

/** Enough for a second or more. */
const ROUNDS = 100_000

const open = (settings: Partial<typeof DEFAULT_INFERENCE> = {}) => {
  host = createModelHost({ ...DEFAULT_INFERENCE, ...settings })
  return host
}

it('runs a model with text, integer and float columns, and gives the maps at its end as a matrix', async () => {
  open()
  const model = await host.load(sourceOf('mixed', '1', mixedModel()))
  expect(model.graph.outputs).toEqual([
    { tensor: 'label', type: 'int64', shape: [-1] },
    { tensor: 'probabilities', type: 'float32', shape: [-1, 2], classes: [0, 1] },
  ])
  const feeds = new Map<string, Tensor>([
    ['city', { type: 'string', shape: [2, 1], data: ['seoul', 'jeju'] }],
    ['trips', { type: 'int64', shape: [2, 1], data: new BigInt64Array([1n, 20n]) }],
    ['rate', { type: 'float32', shape: [2, 1], data: new Float32Array([0.5, 0.25]) }],
  ])
  const { outputs } = await model.infer(feeds, { timeoutMs: 20_000 })
  expect(outputs.get('label')).toEqual({ type: 'int64', shape: [2], data: new BigInt64Array([0n, 1n]) })
  const { shape, data } = outputs.get('probabilities')!
  expect(shape).toEqual([2, 2])
  const softmax = (a: number, b: number) => Math.exp(a) / (Math.exp(a) + Math.exp(b))
  expect(data[0]).toBeCloseTo(softmax(-0.1 + 1 + 0.25, 0.1 - 1 - 0.25), 6)
  expect(data[2]).toBeCloseTo(softmax(1 - 2 + 0.5 + 0.25, -1 + 2 - 0.5 - 0.25), 6)
})

it('answers from the active version, from a named one, and from none that is gone', async () => {
  open({ workers: 1 })
  await host.load(sourceOf('m', '1', linearModel([1])))
  expect(() => host.find('m')).toThrow('Model "m" has no version that serves; loaded is "1".')
  host.activate('m', '1')
  await host.load(sourceOf('m', '2', linearModel([2])))
  const score = async (version?: string) =>
    host.use('m', version, async (model) => {
      const { outputs } = await model.infer(matrix([10]), { timeoutMs: 20_000 })
      return outputs.get('score')!.data[0]
    })
  expect([await score(), await score('2')]).toEqual([10, 20])
  host.activate('m', '2')
  await host.unload('m', '1')
  expect(await score()).toBe(20)
  await expect(score('1')).rejects.toThrow('Model "m" is not served at version 1; loaded is "2".')
  await expect(host.use('n', undefined, async () => 0)).rejects.toThrow('No model "n" is served here.')
})

it('an old version waits for the requests that use it', async () => {
  open({ workers: 1 })
  const model = await host.load(sourceOf('m', '1', linearModel([1])))
  let go: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  const request = host.use('m', '1', async () => {
    await gate
    return model.infer(matrix([7]), { timeoutMs: 20_000 })
  })
  const unloaded = host.unload('m', '1')
  expect(() => host.find('m', '1')).toThrow('No model "m"')
  go()
  expect((await request).outputs.get('score')!.data[0]).toBe(7)
  await unloaded
})

describe('a run that does not end', () => {
  it('is given up in time, its worker replaced, and no other model waits for it', async () => {
    open({ workers: 1, timeoutMs: 2000 })
    const [looping, linear] = await Promise.all([
      host.load(sourceOf('looping', '1', loopingModel())),
      host.load(sourceOf('linear', '1', linearModel([1]))),
    ])
    expect((await looping.infer(rounds(3), { timeoutMs: 5000 })).outputs.get('y')!.data[0]).toBe(3n)
    // The fastest of some, so that the long one is long whatever held up the others.
    let fastest = Number.POSITIVE_INFINITY
    for (let run = 0; run < 5; run++) {
      fastest = Math.min(fastest, (await looping.infer(rounds(5000), { timeoutMs: 20_000 })).runMs)
    }
    const stuck = looping.infer(rounds(Math.ceil((5000 * 5000) / fastest)), { timeoutMs: 20_000 })
    const others = await Promise.all([1, 2, 3].map((x) => linear.infer(matrix([x]), { timeoutMs: 5000 })))
    expect(others.map(({ outputs }) => outputs.get('score')!.data[0])).toEqual([1, 2, 3])
    await expect(stuck).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect((await looping.infer(rounds(2), { timeoutMs: 20_000 })).outputs.get('y')!.data[0]).toBe(2n)
    const counts = (name: string) => host.counts().find(({ model }) => model === name)!
    expect(counts('looping')).toMatchObject({ replacements: 1 })
    expect(counts('linear')).toMatchObject({ replacements: 0 })
    await until(() => counts('looping').stuck === 0, 'the end of the run')
  })

  it('a caller with less time is answered in his; the run goes on', async () => {
    open({ workers: 1, timeoutMs: 60_000 })
    const model = await host.load(sourceOf('looping', '1', loopingModel()))
    const slow = model.infer(rounds(ROUNDS), { timeoutMs: 60_000 })
    await expect(model.infer(rounds(1), { timeoutMs: 10 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    })
    expect((await slow).outputs.get('y')!.data[0]).toBe(BigInt(ROUNDS))
    expect(host.counts()[0]!.replacements).toBe(0)
  })

  it('more requests than may wait are turned away', async () => {
    open({ workers: 1, queueLimit: 2, timeoutMs: 60_000 })
    const model = await host.load(sourceOf('looping', '1', loopingModel()))
    const runs = [ROUNDS, 1, 2, 3].map((count) => model.infer(rounds(count), { timeoutMs: 60_000 }))
    const outcomes = await Promise.allSettled(runs)
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    expect(outcomes[3]).toMatchObject({ reason: { code: 'MODEL_OVERLOADED', http: 503, retry: true } })
  })
})

describe('a worker that crashes', () => {
  const workers: Worker[] = []
  const add = (message: unknown) => workers.push((message as { readonly worker: Worker }).worker)
  beforeAll(() => {
    subscribe('worker_threads', add)
  })
  afterAll(() => {
    unsubscribe('worker_threads', add)
  })

  it('fails the request that it ran alone, is replaced, and harms no other model', async () => {
    open({ workers: 1 })
    const other = await host.load(sourceOf('other', '1', linearModel([1])))
    workers.length = 0
    const model = await host.load(sourceOf('m', '1', linearModel([2])))
    const infer = async (of: typeof model, x: number) =>
      (await of.infer(matrix([x]), { timeoutMs: 20_000 })).outputs.get('score')!.data[0]
    for (let crash = 1; crash <= 3; crash++) {
      const [running, waiting] = [infer(model, 1), infer(model, 2)]
      // Nothing that it knows: an error that nobody catches ends the thread.
      workers.at(-1)!.postMessage(null)
      const others = await Promise.all([1, 2, 3].map((x) => infer(other, x)))
      expect(others).toEqual([1, 2, 3])
      await expect(running).rejects.toMatchObject({ code: 'MODEL_WORKER_FAILED', http: 503, retry: true })
      expect(await waiting).toBe(4)
      expect(await infer(model, 3)).toBe(6)
      expect(host.counts().map(({ model: name, replacements }) => [name, replacements])).toEqual([
        ['other', 0],
        ['m', crash],
      ])
    }
  })
})

it('what travelled with a worker that crashes is run again', async () => {
  const workers: Worker[] = []
  const add = (message: unknown) => workers.push((message as { readonly worker: Worker }).worker)
  subscribe('worker_threads', add)
  try {
    open({ workers: 1 })
    const model = await host.load(sourceOf('m', '1', linearModel([2])))
    const infer = async (x: number) =>
      (await model.infer(matrix([x]), { timeoutMs: 20_000 })).outputs.get('score')!.data[0]
    for (let i = 0; i < 40; i++) await infer(i)
    const asked = [1, 2, 3, 4, 5].map(infer)
    workers.at(-1)!.postMessage(null)
    const outcomes = await Promise.allSettled(asked)
    expect(outcomes.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.code))).toEqual([
      'MODEL_WORKER_FAILED',
      ...[4, 6, 8, 10],
    ])
    expect(host.counts()).toMatchObject([{ replacements: 1, waiting: 0 }])
  } finally {
    unsubscribe('worker_threads', add)
  }
})

it('what is asked for together gets its own answers, and one that is refused harms none of the others', async () => {
  open({ workers: 2 })
  const model = await host.load(sourceOf('m', '1', linearModel([1, 10])))
  // Only what is known to be short travels together.
  for (let i = 0; i < 20; i++) await model.infer(matrix([i, 0]), { timeoutMs: 20_000 })
  const asked = Array.from({ length: 90 }, (_, i) => (i % 9 === 4 ? matrix([i, 0, 0]) : matrix([i, 1])))
  const outcomes = await Promise.allSettled(asked.map((feeds) => model.infer(feeds, { timeoutMs: 20_000 })))
  for (const [i, outcome] of outcomes.entries()) {
    if (i % 9 === 4) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'MODEL_RUN_FAILED' } })
    } else {
      expect(outcome.status).toBe('fulfilled')
      const { outputs, queueMs } = (
        outcome as PromiseFulfilledResult<Awaited<ReturnType<typeof model.infer>>>
      ).value
      expect([...outputs.get('score')!.data]).toEqual([i + 10])
      expect(queueMs).toBeGreaterThanOrEqual(0)
    }
  }
})

it('what the model refuses is told, and harms nothing', async () => {
  open({ workers: 1 })
  const model = await host.load(sourceOf('m', '1', linearModel([1, 1])))
  await expect(model.infer(matrix([1]), { timeoutMs: 5000 })).rejects.toMatchObject({
    code: 'MODEL_RUN_FAILED',
  })
  expect((await model.infer(matrix([1, 2]), { timeoutMs: 5000 })).outputs.get('score')!.data[0]).toBe(3)
})

describe('files that are refused', () => {
  it.each<[string, Buffer, string]>([
    ['no protobuf', Buffer.from('hello'), 'the file is no ONNX model'],
    ['empty', Buffer.alloc(0), 'the file has no graph'],
    ['cut short', mixedModel().subarray(0, 300), 'the file is no ONNX model'],
  ])('%s', async (_, bytes, why) => {
    open()
    const { artifact } = manifestFor(linearModel([1]), 'm')
    const { createHash } = await import('node:crypto')
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const manifest = { ...manifestFor(linearModel([1]), 'm'), artifact: { ...artifact, sha256 } }
    await expect(host.load({ manifest, version: '1', artifact: async () => bytes })).rejects.toThrow(why)
    expect(host.models()).toEqual([])
  })

  it('another file than the one registered', async () => {
    open()
    const manifest = manifestFor(linearModel([1]), 'm')
    await expect(
      host.load({ manifest, version: '1', artifact: async () => linearModel([2]) }),
    ).rejects.toThrow('the file is not the one that was registered')
  })

  it('one larger than the limit', async () => {
    open({ maxModelBytes: 100 })
    await expect(host.load(sourceOf('m', '1', linearModel([1])))).rejects.toThrow('max_model_bytes is 100')
  })
})
