import { createHash } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { afterAll, expect, it } from '@jest/globals'
import { encodeBytesField } from '../../src/codec/wire.js'
import type { Tensor } from '../../src/core/tensor.js'
import { createModelHost, DEFAULT_INFERENCE } from '../../src/models/model-host.js'
import {
  floats,
  type GraphParts,
  graph,
  int64s,
  linearModel,
  manifestFor,
  node,
  onnxModel,
  tensorInfo,
} from './onnx-builder.js'

const host = createModelHost({ ...DEFAULT_INFERENCE, workers: 1, timeoutMs: 1000 })
afterAll(() => host.close())

/** As it comes out of a registry: what its manifest says of the bytes is true. */
async function load(bytes: Buffer, name = 'hostile', into = host) {
  const { artifact, ...rest } = manifestFor(linearModel([1]), name)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return into.load({
    manifest: { ...rest, artifact: { ...artifact, sha256 } },
    version: '1',
    artifact: async () => bytes,
  })
}

const X = tensorInfo('x', 'float32', ['N', 1])
const Y = tensorInfo('y', 'float32', ['N', 1])
const of = (parts: Partial<GraphParts>, opsets?: object[]) =>
  onnxModel({ nodes: [node('Identity', ['x'], ['y'])], inputs: [X], outputs: [Y], ...parts }, opsets as never)

const elsewhere = {
  ...floats('w', [1], []),
  data_location: 1,
  external_data: [{ key: 'location', value: '../../../../etc/passwd' }],
}
/** A graph in a branch of a graph, and so on. */
const nested = (levels: number): Buffer => {
  let inner: Uint8Array = Buffer.alloc(0)
  for (let level = 0; level < levels; level++) {
    inner = encodeBytesField(1, encodeBytesField(5, encodeBytesField(6, inner)))
  }
  return Buffer.from(encodeBytesField(7, inner))
}
const constant = (tensor: object) =>
  graph({ nodes: [node('Constant', [], ['y'], { value: { t: tensor } })], inputs: [], outputs: [Y] })
const branch = (inner: object) => node('If', ['x'], ['y'], { then_branch: { g: inner } })

it.each<[string, Buffer, RegExp]>([
  ['weights in another file', of({ weights: [elsewhere] }), /the weights "w" lie in another file/],
  [
    'weights of a branch in another file',
    of({ nodes: [branch(constant(elsewhere))] }),
    /the weights "w" lie in another file/,
  ],
  ['graphs in graphs in graphs', nested(2000), /nested more than 50/],
  ['an operator that is none', of({ nodes: [node('Evil', ['x'], ['y'])] }), /the runtime refuses it: .*Evil/],
  [
    'operators of a later time',
    of({}, [{ domain: '', version: 999 }]),
    /the runtime refuses it: .*opset.*999/i,
  ],
  [
    'nodes that wait for each other',
    of({
      nodes: [node('Add', ['x', 'b'], ['a']), node('Add', ['x', 'a'], ['b']), node('Identity', ['a'], ['y'])],
    }),
    /the runtime refuses it/,
  ],
  ['an output that nothing makes', of({ nodes: [] }), /the runtime refuses it/],
  [
    'weights of a size that no file has',
    of({ nodes: [node('Add', ['x', 'w'], ['y'])], weights: [floats('w', [2 ** 40], [1])] }),
    /the runtime refuses it/,
  ],
  [
    'weights of a negative size',
    of({ nodes: [node('Add', ['x', 'w'], ['y'])], weights: [floats('w', [-5], [1])] }),
    /the runtime refuses it/,
  ],
  [
    'rows of billions of values',
    of({ inputs: [tensorInfo('x', 'float32', ['N', 2 ** 30])] }),
    /input "x" takes 1073741824 values a row/,
  ],
  [
    'rows of more values than there are numbers for',
    of({ inputs: [tensorInfo('x', 'float32', [2 ** 30, 2 ** 30, 2 ** 30])] }),
    /input "x" takes/,
  ],
  [
    'an output that is a sequence',
    of({
      nodes: [node('SequenceConstruct', ['x'], ['y'])],
      outputs: [{ name: 'y', type: { sequence_type: {} } }],
    }),
    /output "y" is a sequence or a map/,
  ],
  ['an input without a type', of({ inputs: [{ name: 'x' }] }), /input "x" is no tensor/],
  ['no outputs', of({ outputs: [] }), /the model has no outputs/],
])('%s: refused, and says why', async (_, bytes, why) => {
  await expect(load(bytes)).rejects.toMatchObject({
    code: 'MODEL_INVALID',
    message: expect.stringMatching(why),
  })
  expect(host.models().filter(({ name }) => name === 'hostile')).toEqual([])
})

const one: ReadonlyMap<string, Tensor> = new Map([
  ['x', { type: 'float32', shape: [1, 1], data: new Float32Array([1]) }],
])

it('a model that asks for more memory than there is fails its own requests', async () => {
  const huge = [int64s('huge', [2], [2 ** 40, 1])]
  const greedy = await load(of({ nodes: [node('Expand', ['x', 'huge'], ['y'])], weights: huge }), 'greedy')
  const linear = await load(linearModel([3]), 'linear')
  for (let i = 0; i < 3; i++) {
    await expect(greedy.infer(one, { timeoutMs: 5000 })).rejects.toMatchObject({ code: 'MODEL_RUN_FAILED' })
    expect((await linear.infer(one, { timeoutMs: 5000 })).outputs.get('score')!.data[0]).toBe(3)
  }
})

it('a model that does not come to an end by itself is not served', async () => {
  const body = graph({
    nodes: [node('Identity', ['going'], ['still_going']), node('Add', ['sum', 'step'], ['next'])],
    inputs: [
      tensorInfo('i', 'int64', []),
      tensorInfo('going', 'bool', []),
      tensorInfo('sum', 'float32', [1]),
    ],
    outputs: [tensorInfo('still_going', 'bool', []), tensorInfo('next', 'float32', [1])],
    weights: [floats('step', [1], [1])],
  })
  const endless = of({
    nodes: [
      node('Loop', ['rounds', '', 'zero'], ['total'], { body: { g: body } }),
      node('Add', ['x', 'total'], ['y']),
    ],
    // A second or more; to the host it makes no difference.
    weights: [int64s('rounds', [], [1_000_000]), floats('zero', [1], [0])],
  })
  const threads: Promise<unknown>[] = []
  const remember = (message: unknown) => {
    threads.push(once((message as { readonly worker: Worker }).worker, 'exit'))
  }
  const hasty = createModelHost({ ...DEFAULT_INFERENCE, workers: 1, timeoutMs: 100 })
  subscribe('worker_threads', remember)
  try {
    for (const why of ['models.inference.timeout_ms', 'the first run of the last attempt has not ended']) {
      await expect(load(endless, 'endless', hasty)).rejects.toMatchObject({
        code: 'MODEL_INVALID',
        message: expect.stringContaining(why),
      })
    }
    expect([hasty.models(), threads.length]).toEqual([[], 1])
  } finally {
    unsubscribe('worker_threads', remember)
    await hasty.close()
    // A process does not end well in the middle of native code.
    await Promise.all(threads)
  }
})
