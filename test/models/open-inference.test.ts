import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { halfBits, halfValue } from '../../src/server/inference/tensor-datatype.js'
import { BytesClient } from '../server/grpc-fixture.js'
import { decodedInference, encodedInference } from './inference-messages.js'
import { openInferenceServers } from './inference-servers.js'
import type { ModelServer } from './model-server.js'
import { linearModel, mixedModel, node, onnxModel, tensorInfo } from './onnx-builder.js'

const bigModel = onnxModel({
  nodes: [node('Identity', ['n'], ['same']), node('Identity', ['x'], ['y'])],
  inputs: [tensorInfo('n', 'int64', ['N']), tensorInfo('x', 'float64', ['N', 2])],
  outputs: [tensorInfo('same', 'int64', ['N']), tensorInfo('y', 'float64', ['N', 2])],
})

let server: ModelServer
let servers: Awaited<ReturnType<typeof openInferenceServers>>
let client: BytesClient

beforeAll(async () => {
  servers = await openInferenceServers({
    models: `
  inference: { workers: 1, timeout_ms: 20000 }
  files:
    mixed: { path: mixed.onnx, version: '7', feature_service: mixed, required: true }
    matrix: { path: matrix.onnx }
    same: { path: same.onnx }`,
    files: { 'mixed.onnx': mixedModel(), 'matrix.onnx': linearModel([10, 1]), 'same.onnx': bigModel },
  })
  server = servers.server
  client = new BytesClient(servers.grpcAddress)
})
afterAll(async () => {
  client.close()
  await servers.close()
})

const COLUMNS = [
  { name: 'city', datatype: 'BYTES', shape: [2, 1], data: ['jeju', 'seoul'] },
  { name: 'trips', datatype: 'INT64', shape: [2, 1], data: [20, 10] },
  { name: 'rate', datatype: 'FP32', shape: [2, 1], data: [0.25, 0.5] },
]

async function call(method: string, message: object): Promise<Record<string, unknown>> {
  const path = `/inference.GRPCInferenceService/${method}`
  const outcome = await client.unary(path, encodedInference(`${method}Request`, message))
  if (outcome.code !== grpc.status.OK) throw new Error(`${grpc.status[outcome.code]}: ${outcome.details}`)
  return decodedInference(`${method}Response`, outcome.answers[0]!)
}

it('features looked up, tensors over HTTP and over gRPC, as values and as bytes: one answer', async () => {
  const predicted = await server.post('/predict', { model: 'mixed', entities: { driver_id: [2, 1] } })
  const labels = predicted.body.predictions.map((one: { label: number }) => one.label)
  const chances = predicted.body.predictions.flatMap((one: { probabilities: object }) =>
    Object.values(one.probabilities),
  )
  expect(labels).toEqual([1, 0])

  const { status, body } = await server.post('/v2/models/mixed/infer', { id: 'a', inputs: COLUMNS })
  expect(status).toBe(200)
  expect(body).toEqual({
    model_name: 'mixed',
    model_version: '7',
    id: 'a',
    outputs: [
      { name: 'label', datatype: 'INT64', shape: [2], data: labels },
      {
        name: 'probabilities',
        datatype: 'FP32',
        shape: [2, 2],
        parameters: { classes: '[0,1]' },
        data: chances,
      },
    ],
  })

  const fields = ['bytes_contents', 'int64_contents', 'fp32_contents']
  const typed = await call('ModelInfer', {
    model_name: 'mixed',
    model_version: '7',
    id: 'a',
    inputs: COLUMNS.map(({ data, ...one }, index) => ({
      ...one,
      contents: { [fields[index]!]: index === 0 ? data.map((text) => Buffer.from(text as string)) : data },
    })),
  })
  expect(typed).toMatchObject({
    model_name: 'mixed',
    model_version: '7',
    id: 'a',
    outputs: [
      { name: 'label', datatype: 'INT64', shape: ['2'], contents: { int64_contents: labels.map(String) } },
      {
        name: 'probabilities',
        contents: { fp32_contents: chances },
        parameters: { classes: { string_param: '[0,1]' } },
      },
    ],
  })

  const raw = await call('ModelInfer', {
    model_name: 'mixed',
    inputs: COLUMNS.map(({ data, ...one }) => one),
    raw_input_contents: [
      Buffer.concat([
        Buffer.from([4, 0, 0, 0]),
        Buffer.from('jeju'),
        Buffer.from([5, 0, 0, 0]),
        Buffer.from('seoul'),
      ]),
      Buffer.from(new BigInt64Array([20n, 10n]).buffer),
      Buffer.from(new Float32Array([0.25, 0.5]).buffer),
    ],
    outputs: [{ name: 'probabilities' }],
  })
  const [bytes] = raw['raw_output_contents'] as Buffer[]
  expect([...new Float32Array(new Uint8Array(bytes!).buffer)]).toEqual(chances)
  expect(raw['outputs']).toHaveLength(1)
})

it.each([1, 2, 257])(
  'a batch of %d: looked up, as values and as bytes, over HTTP and over gRPC, the same',
  async (size) => {
    const of = <T>(make: (row: number) => T): T[] => Array.from({ length: size }, (_, row) => make(row))
    const rates = new Float32Array(of((row) => Math.fround(Math.sin(row) * 3)))
    const cities = of((row) => ['seoul', 'jeju', 'busan', '서울'][row % 4]!)
    const trips = of((row) => row - 3)
    const columns: readonly [name: string, datatype: string, data: readonly unknown[], bytes: Buffer][] = [
      ['city', 'BYTES', cities, Buffer.concat(cities.flatMap((city) => [length32(city), Buffer.from(city)]))],
      ['trips', 'INT64', trips, Buffer.from(new BigInt64Array(trips.map(BigInt)).buffer)],
      ['rate', 'FP32', [...rates], Buffer.from(rates.buffer)],
    ]
    const predicted = await server.post('/predict', {
      model: 'mixed',
      entities: { driver_id: of(() => 1) },
      overrides: { city: cities, trips, rate: [...rates] },
    })
    const expected = {
      labels: predicted.body.predictions.map((one: { label: number }) => one.label),
      chances: predicted.body.predictions.flatMap((one: { probabilities: object }) =>
        Object.values(one.probabilities),
      ),
    }
    expect(expected.labels).toHaveLength(size)

    const inputs = columns.map(([name, datatype, data]) => ({ name, datatype, shape: [size, 1], data }))
    const json = await server.post('/v2/models/mixed/infer', { inputs })
    const [label, probabilities] = json.body.outputs
    expect({ labels: label.data, chances: probabilities.data }).toEqual(expected)

    const head = Buffer.from(
      JSON.stringify({
        inputs: columns.map(([name, datatype, , bytes]) => {
          return { name, datatype, shape: [size, 1], parameters: { binary_data_size: bytes.length } }
        }),
        parameters: { binary_data_output: true },
      }),
    )
    const binary = await server.post(
      '/v2/models/mixed/infer',
      Buffer.concat([head, ...columns.map(([, , , bytes]) => bytes)]),
      { 'inference-header-content-length': String(head.length), 'content-type': 'application/octet-stream' },
    )
    const tail = binary.bytes.subarray(Number(binary.headers['inference-header-content-length']))
    expect(numbersIn(tail.subarray(0, 8 * size), tail.subarray(8 * size))).toEqual(expected)

    const raw = await call('ModelInfer', {
      model_name: 'mixed',
      inputs: inputs.map(({ data: _, ...input }) => input),
      raw_input_contents: columns.map(([, , , bytes]) => bytes),
    })
    const [first, second] = raw['raw_output_contents'] as [Buffer, Buffer]
    expect(numbersIn(first, second)).toEqual(expected)
  },
)

function length32(text: string): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(Buffer.byteLength(text))
  return bytes
}

function numbersIn(labels: Uint8Array, chances: Uint8Array) {
  return {
    labels: [...new BigInt64Array(new Uint8Array(labels).buffer)].map(Number),
    chances: [...new Float32Array(new Uint8Array(chances).buffer)],
  }
}

it('bytes behind the JSON come and go, mixed with values as they are asked for', async () => {
  const numbers = Buffer.from(new BigInt64Array([2n ** 63n - 1n]).buffer)
  const head = JSON.stringify({
    inputs: [
      { name: 'n', datatype: 'INT64', shape: [1], parameters: { binary_data_size: 8 } },
      { name: 'x', datatype: 'FP64', shape: [1, 2], data: [[1.5, null]] },
    ],
    outputs: [{ name: 'same' }, { name: 'y', parameters: { binary_data: true } }],
  })
  const reply = await server.post('/v2/models/same/infer', Buffer.concat([Buffer.from(head), numbers]), {
    'inference-header-content-length': String(head.length),
    'content-type': 'application/octet-stream',
  })
  expect(reply.status).toBe(200)
  const length = Number(reply.headers['inference-header-content-length'])
  const text = reply.bytes.subarray(0, length).toString()
  expect(text).toContain('"data":[9223372036854775807]')
  expect(JSON.parse(text).outputs[1]).toEqual({
    name: 'y',
    datatype: 'FP64',
    shape: [1, 2],
    parameters: { binary_data_size: 16 },
  })
  expect([...new Float64Array(new Uint8Array(reply.bytes.subarray(length)).buffer)]).toEqual([
    1.5,
    Number.NaN,
  ])
})

it('integers keep their digits and what is no number is null', async () => {
  const body = `{"inputs":[{"name":"n","datatype":"INT64","shape":[2],"data":[9007199254740993,"-9223372036854775808"]},
    {"name":"x","datatype":"FP64","shape":[2,2],"data":[[1,2],[null,0.1]]}]}`
  const { text } = await server.post('/v2/models/same/infer', body)
  expect(text).toContain('"data":[9007199254740993,-9223372036854775808]')
  expect(text).toContain('"parameters":{"non_finite":true},"data":[1,2,null,0.1]')
})

it('says what it is, what models it has, and whether they are ready', async () => {
  expect((await server.get('/v2')).body).toEqual({
    name: 'feast-node',
    version: expect.any(String),
    extensions: ['binary_tensor_data'],
  })
  expect((await server.get('/v2/health/live')).status).toBe(200)
  expect((await server.get('/v2/health/ready')).body).toEqual({ live: true, ready: true })
  const metadata = {
    name: 'mixed',
    versions: ['7'],
    platform: 'onnx_onnxv1',
    inputs: [
      { name: 'city', datatype: 'BYTES', shape: [-1, 1] },
      { name: 'trips', datatype: 'INT64', shape: [-1, 1] },
      { name: 'rate', datatype: 'FP32', shape: [-1, 1] },
    ],
    outputs: [
      { name: 'label', datatype: 'INT64', shape: [-1] },
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
    ],
  }
  for (const path of ['/v2/models/mixed', '/v2/models/mixed/versions/7']) {
    expect((await server.get(path)).body).toEqual(metadata)
    expect((await server.get(`${path}/ready`)).body).toEqual({ name: 'mixed', ready: true })
  }
  const shapes = (tensors: { shape: number[] }[]) =>
    tensors.map((one) => ({ ...one, shape: one.shape.map(String) }))
  expect(await call('ModelMetadata', { name: 'mixed' })).toEqual({
    ...metadata,
    inputs: shapes(metadata.inputs),
    outputs: shapes(metadata.outputs),
  })
  expect(await call('ServerLive', {})).toEqual({ live: true })
  expect(await call('ServerReady', {})).toEqual({ ready: true })
  expect(await call('ModelReady', { name: 'mixed', version: '7' })).toEqual({ ready: true })
  expect(await call('ModelReady', { name: 'mixed', version: '8' })).toEqual({})
  expect(await call('ServerMetadata', {})).toMatchObject({ name: 'feast-node' })
})

it('a feature service is a model: keys in, features out', async () => {
  const { body } = await server.get('/v2/models/feature_service.mixed')
  expect(body.inputs).toEqual([{ name: 'driver_id', datatype: 'INT64', shape: [-1] }])
  expect(body.outputs.map((one: { name: string }) => one.name)).toEqual([
    ...['city', 'trips', 'rate'],
    ...['city__status', 'trips__status', 'rate__status'],
  ])
  const inputs = [{ name: 'driver_id', datatype: 'INT64', shape: [3], data: [1, 3, 9] }]
  const all = await server.post('/v2/models/feature_service.mixed/infer', { inputs })
  expect(all.body.outputs).toEqual([
    {
      name: 'city',
      datatype: 'BYTES',
      shape: [3],
      parameters: { missing_rows: '2' },
      data: ['seoul', 'busan', ''],
    },
    { name: 'trips', datatype: 'INT64', shape: [3], parameters: { missing_rows: '1,2' }, data: [10, 0, 0] },
    { name: 'rate', datatype: 'FP32', shape: [3], parameters: { non_finite: true }, data: [0.5, null, null] },
  ])
  const asked = await server.post('/v2/models/feature_service.mixed/infer', {
    inputs,
    outputs: [{ name: 'trips__status' }],
  })
  expect(asked.body.outputs[0].data).toEqual(['PRESENT', 'NULL_VALUE', 'NOT_FOUND'])
  const bonus = await server.post('/v2/models/feature_service.bonus/infer', {
    inputs: [...inputs.slice(0, 1), { name: 'bonus', datatype: 'INT64', shape: [3], data: [1, 2, 3] }],
    outputs: [{ name: 'trips_with_bonus' }],
  })
  expect(bonus.body.outputs[0].data).toEqual([11, 0, 0])
})

describe('errors', () => {
  const tensor = (parts: object = {}) => ({
    name: 'x',
    datatype: 'FP32',
    shape: [1, 2],
    data: [1, 2],
    ...parts,
  })
  it.each<[what: string, path: string, body: unknown, status: number, error: string]>([
    ['no such model', 'nothing', { inputs: [] }, 404, 'No model \\"nothing\\" is served'],
    ['no such version', 'matrix/versions/9', { inputs: [] }, 404, 'is not served at version 9'],
    ['no such service', 'feature_service.x', { inputs: [] }, 404, 'Feature service \\"x\\"'],
    ['no JSON', 'matrix', '{', 400, 'The request cannot be read: the body is not JSON'],
    ['no body', 'matrix', '', 400, 'The request cannot be read'],
    ['a list', 'matrix', [], 400, 'the body is no object'],
    ['no inputs', 'matrix', {}, 400, 'inputs is no list'],
    ['an input that is missing', 'matrix', { inputs: [] }, 400, 'the input \\"x\\" is missing'],
    [
      'an input too many',
      'matrix',
      { inputs: [tensor(), tensor({ name: 'y' })] },
      400,
      'it has no input \\"y\\"',
    ],
    ['an input twice', 'matrix', { inputs: [tensor(), tensor()] }, 400, 'it is given twice'],
    [
      'another type',
      'matrix',
      { inputs: [tensor({ datatype: 'FP64' })] },
      400,
      'is float32, and float64 was sent',
    ],
    [
      'no type',
      'matrix',
      { inputs: [tensor({ datatype: 'FLOAT' })] },
      400,
      'the datatype \\"FLOAT\\" is not one of BOOL',
    ],
    ['too few values', 'matrix', { inputs: [tensor({ data: [1] })] }, 400, 'needs 2 values, and data has 1'],
    ['too many', 'matrix', { inputs: [tensor({ data: [1, 2, 3] })] }, 400, 'data has 3'],
    [
      'another width',
      'matrix',
      { inputs: [tensor({ shape: [1, 3], data: [1, 2, 3] })] },
      400,
      'has the shape [-1, 2], and [1, 3] was sent',
    ],
    ['a shape of texts', 'matrix', { inputs: [tensor({ shape: ['1', 2] })] }, 400, 'is no list of sizes'],
    ['a huge shape', 'matrix', { inputs: [tensor({ shape: [1e9, 1e6] })] }, 400, 'is of too many values'],
    ['text for a number', 'matrix', { inputs: [tensor({ data: ['1', 2] })] }, 400, '\\"1\\" is no FP32'],
    [
      'too deep',
      'matrix',
      { inputs: [tensor({ data: [[[1, 2]]] })] },
      400,
      'is nested deeper than the shape',
    ],
    [
      'an output that is not there',
      'matrix',
      { inputs: [tensor()], outputs: [{ name: 'z' }] },
      400,
      'it has no output \\"z\\"',
    ],
    [
      'bytes that are not there',
      'matrix',
      { inputs: [tensor({ parameters: { binary_data_size: 8 } })] },
      400,
      'is not within the 0 bytes',
    ],
    [
      'a fraction for an integer',
      'same',
      { inputs: [{ name: 'n', datatype: 'INT64', shape: [1], data: [0.5] }] },
      400,
      '0.5 is no INT64',
    ],
    [
      'a column too wide',
      'feature_service.mixed',
      { inputs: [{ name: 'driver_id', datatype: 'INT64', shape: [1, 2], data: [1, 2] }] },
      400,
      'it takes one value a row',
    ],
    [
      'an unknown key',
      'feature_service.mixed',
      { inputs: [{ name: 'x', datatype: 'INT64', shape: [1], data: [1] }] },
      400,
      'has no such input; it has driver_id',
    ],
  ])('%s', async (_, path, body, status, error) => {
    const reply = await server.post(`/v2/models/${path}/infer`, body)
    expect({ status: reply.status, text: reply.text.includes(error) ? error : reply.text }).toEqual({
      status,
      text: error,
    })
    expect(Object.keys(reply.body)).toEqual(['error'])
  })

  it('have the statuses of gRPC', async () => {
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], contents: { fp32_contents: [1, 2] } }]
    const failing: [object, string][] = [
      [{ model_name: 'nothing', inputs }, 'NOT_FOUND'],
      [{ model_name: 'matrix', inputs: [] }, 'INVALID_ARGUMENT'],
      [{ model_name: 'matrix', inputs, raw_input_contents: [Buffer.alloc(8)] }, 'INVALID_ARGUMENT'],
      [
        { model_name: 'matrix', inputs: [{ ...inputs[0], contents: { fp64_contents: [1, 2] } }] },
        'INVALID_ARGUMENT',
      ],
      [{ model_name: 'matrix', inputs: [{ ...inputs[0], datatype: 'FP16' }] }, 'INVALID_ARGUMENT'],
    ]
    for (const [message, status] of failing) {
      await expect(call('ModelInfer', message)).rejects.toThrow(status)
    }
  })
})

it('halves are the nearest to a number, and numbers again', () => {
  for (const value of [0, 1, -2.5, 65504, 2 ** -24, 2 ** -14, 0.1, 1e6, -1e-9, Number.POSITIVE_INFINITY]) {
    const half = halfValue(halfBits(value))
    const expected = Math.abs(value) > 65519 ? Math.sign(value) * Number.POSITIVE_INFINITY : value
    const close =
      half === expected || Math.abs(half - expected) <= Math.max(Math.abs(value) * 2 ** -11, 2 ** -25)
    expect([value, half, close]).toEqual([value, half, true])
  }
  for (let bits = 0; bits < 0x7c00; bits++) {
    if (halfBits(halfValue(bits)) !== bits) throw new Error(`half ${bits}`)
  }
  expect(halfValue(halfBits(Number.NaN))).toBeNaN()
})
