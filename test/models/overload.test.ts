import { setTimeout as sleep } from 'node:timers/promises'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { BytesClient } from '../server/grpc-fixture.js'
import { until } from '../until.js'
import { encodedInference } from './inference-messages.js'
import { openInferenceServers } from './inference-servers.js'
import { linearModel, loopingModel } from './onnx-builder.js'

let servers: Awaited<ReturnType<typeof openInferenceServers>>
beforeAll(async () => {
  servers = await openInferenceServers({
    models: `
  inference: { workers: 1, queue_limit: 1, timeout_ms: 50000 }
  files:
    looping: { path: looping.onnx, feature_service: mixed, inputs: [{ tensor: x, feature: trips }] }
    linear: { path: linear.onnx, feature_service: numbers }`,
    files: { 'looping.onnx': loopingModel(), 'linear.onnx': linearModel([1, 0]) },
  })
})
afterAll(() => servers.close())

const tensors = (rounds: number) => ({
  inputs: [{ name: 'x', datatype: 'INT64', shape: [1, 1], data: [rounds] }],
})

it('what finds the queue full is turned away with 503 and Retry-After; other models answer', async () => {
  const client = new BytesClient(servers.grpcAddress)
  // Its connection is not to be waited for later.
  await client.unary('/inference.GRPCInferenceService/ServerLive', Buffer.alloc(0))
  // A run that was over too soon tells nothing.
  for (let rounds = 300_000; !(await areTurnedAway(client, rounds)); rounds *= 4) {
    expect(rounds).toBeLessThan(10_000_000)
  }
  client.close()
})

/** @returns false where the long run was over before all the others had their answers, which then mean nothing */
async function areTurnedAway(client: BytesClient, rounds: number): Promise<boolean> {
  const { server } = servers
  let isOver = false
  const long = server.post('/v2/models/looping/infer', tensors(rounds)).finally(() => {
    isOver = true
  })
  // By then a worker has it.
  await sleep(50)
  const waits = server.post('/v2/models/looping/infer', tensors(2))
  const looping = () => server.models.host.counts().find(({ model }) => model === 'looping')!
  await until(() => looping().waiting === 1 || isOver)
  const message = encodedInference('ModelInferRequest', {
    model_name: 'looping',
    inputs: [{ name: 'x', datatype: 'INT64', shape: [1, 1], contents: { int64_contents: [1] } }],
  })
  const [tensor, predicted, called, other] = await Promise.all([
    server.post('/v2/models/looping/infer', tensors(1)),
    server.post('/predict', { model: 'looping', entities: { driver_id: [1] }, overrides: { trips: [1] } }),
    client.unary('/inference.GRPCInferenceService/ModelInfer', message),
    server.post('/predict', { model: 'linear', entities: { driver_id: [1] } }),
  ])
  const isTold = !isOver
  expect((await long).body.outputs[0].data).toEqual([rounds])
  expect((await waits).body.outputs[0].data).toEqual([2])
  expect(other.body.predictions).toEqual([{ score: 0.5 }])
  if (!isTold) return false
  for (const { status, headers, text } of [tensor, predicted]) {
    expect([status, headers['retry-after'], headers['feast-error-code']]).toEqual([
      503,
      '1',
      'MODEL_OVERLOADED',
    ])
    expect(text).toContain('try again shortly')
  }
  expect(grpc.status[called.code]).toBe('UNAVAILABLE')
  return true
}
