import { parseTimeout } from '../../codec/grpc-wire.js'
import type {
  InferParameter,
  InferTensorContents,
  ModelInferRequest,
  ModelInferResponseInferOutputTensor,
} from '../../codec/messages.generated.js'
import { encodeMessage } from '../../codec/proto.js'
import { feastError, isFeastError } from '../../core/errors.js'
import { countOf, type Tensor, type TensorType } from '../../core/tensor.js'
import type { AccessControl } from '../auth/access-control.js'
import {
  createInferenceService,
  type InferAnswer,
  type InferenceDeps,
  type ModelMetadata,
} from '../inference/inference-service.js'
import {
  bytesOfTensor,
  checkShape,
  datatypeOf,
  tensorOfBytes,
  tensorOfJson,
  typeOfDatatype,
  utf8,
  wrong,
} from '../inference/tensor-datatype.js'
import { decodeRequest } from './decode-request.js'
import type { GrpcCall } from './grpc-call.js'
import type { GrpcMethod, UnaryMethod } from './grpc-method.js'

/** inference.GRPCInferenceService: the Open Inference Protocol v2. */
export function inferenceMethods(deps: InferenceDeps): readonly GrpcMethod[] {
  const service = createInferenceService(deps)
  const method = (
    name: string,
    answer: UnaryMethod['answer'],
    more: { isOpen?: true; isBounded?: boolean } = {},
  ): UnaryMethod => ({
    path: `/inference.GRPCInferenceService/${name}`,
    kind: 'unary',
    isBounded: false,
    answer,
    ...more,
  })
  return [
    method('ServerLive', async () => encodeMessage('inference.ServerLiveResponse', { live: true }), {
      isOpen: true,
    }),
    method(
      'ServerReady',
      async () => encodeMessage('inference.ServerReadyResponse', { ready: service.isReady() }),
      { isOpen: true },
    ),
    method('ModelReady', async (message) => {
      const { name = '', version } = decodeRequest('inference.ModelReadyRequest', message)
      const ready = await isThere(service.metadata(name, version || undefined))
      return encodeMessage('inference.ModelReadyResponse', { ready })
    }),
    method('ServerMetadata', async () =>
      encodeMessage('inference.ServerMetadataResponse', service.serverMetadata()),
    ),
    method('ModelMetadata', async (message) => {
      const { name = '', version } = decodeRequest('inference.ModelMetadataRequest', message)
      return encodeMessage(
        'inference.ModelMetadataResponse',
        metadataMessage(await service.metadata(name, version || undefined)),
      )
    }),
    method(
      'ModelInfer',
      async (message, call) => {
        const request = decodeRequest('inference.ModelInferRequest', message)
        const isRaw = (request.rawInputContents?.length ?? 0) > 0
        const answer = await service.infer({
          model: request.modelName ?? '',
          version: request.modelVersion || undefined,
          tensors: tensorsOf(request),
          outputs: request.outputs?.map(({ name = '' }) => name),
          timeoutMs: timeoutOf(call),
          caller: callerOf(call, deps.access),
        })
        return answerMessage(answer, request.id, isRaw)
      },
      { isBounded: true },
    ),
  ]
}

/** Not being there is an answer to whether it is ready. */
async function isThere(metadata: Promise<ModelMetadata>): Promise<boolean> {
  try {
    await metadata
    return true
  } catch (error) {
    if (isFeastError(error) && error.grpc === 'NOT_FOUND') return false
    throw error
  }
}

function metadataMessage({ inputs, outputs, ...rest }: ModelMetadata) {
  const tensors = (all: ModelMetadata['inputs']) =>
    all.map(({ shape, ...one }) => ({ ...one, shape: shape.map(BigInt) }))
  return { ...rest, inputs: tensors(inputs), outputs: tensors(outputs) }
}

function callerOf(call: GrpcCall, access: AccessControl | undefined) {
  return access === undefined ? undefined : call.caller
}

function timeoutOf({ headers }: GrpcCall): number | undefined {
  const text = headers['grpc-timeout']
  return text === undefined ? undefined : parseTimeout(String(text))
}

function tensorsOf({
  inputs = [],
  rawInputContents: raw = [],
}: ModelInferRequest): ReadonlyMap<string, Tensor> {
  if (raw.length > 0 && raw.length !== inputs.length) {
    throw feastError('INVALID_REQUEST', {
      message: `raw_input_contents has ${raw.length} entries for ${inputs.length} inputs; give one for each.`,
    })
  }
  const tensors = new Map<string, Tensor>()
  inputs.forEach(({ name = '', datatype, shape: sizes = [], contents }, index) => {
    if (tensors.has(name)) throw wrong(name, 'it is given twice')
    const type = typeOfDatatype(datatype, name)
    const shape = checkShape(sizes.map(Number), name)
    if (raw.length > 0 && contents !== undefined) {
      throw wrong(name, 'it has contents beside raw_input_contents; send one of the two')
    }
    const tensor =
      raw.length > 0
        ? tensorOfBytes(type, shape, Buffer.from(raw[index]!), name)
        : tensorOfContents(type, shape, contents ?? {}, name)
    tensors.set(name, tensor)
  })
  return tensors
}

const CONTENTS: Partial<Record<TensorType, keyof InferTensorContents>> = {
  bool: 'boolContents',
  int8: 'intContents',
  int16: 'intContents',
  int32: 'intContents',
  int64: 'int64Contents',
  uint8: 'uintContents',
  uint16: 'uintContents',
  uint32: 'uintContents',
  uint64: 'uint64Contents',
  float32: 'fp32Contents',
  float64: 'fp64Contents',
  string: 'bytesContents',
}

function tensorOfContents(
  type: TensorType,
  shape: readonly number[],
  contents: InferTensorContents,
  name: string,
): Tensor {
  const field = CONTENTS[type]
  if (field === undefined) throw wrong(name, `${datatypeOf(type)} is only taken in raw_input_contents`)
  const other = Object.keys(contents).find(
    (one) => one !== field && (contents as Readonly<Record<string, readonly unknown[]>>)[one]!.length > 0,
  )
  if (other !== undefined)
    throw wrong(name, `its values are in ${other}, and ${datatypeOf(type)} has its in ${field}`)
  const values = contents[field] ?? []
  const given = type === 'string' ? (values as readonly Uint8Array[]).map((one) => utf8(one, name)) : values
  return tensorOfJson(type, shape, given, name)
}

/** In the form that the client used; what has no field of its own is raw, and then all is. */
function answerMessage(
  { model, version, outputs }: InferAnswer,
  id: string | undefined,
  wasRaw: boolean,
): Buffer {
  const isRaw = wasRaw || outputs.some(({ tensor }) => CONTENTS[tensor.type] === undefined)
  return encodeMessage('inference.ModelInferResponse', {
    modelName: model,
    modelVersion: version,
    id,
    outputs: outputs.map(
      ({ name, tensor, parameters }): ModelInferResponseInferOutputTensor => ({
        name,
        datatype: datatypeOf(tensor.type),
        shape: tensor.shape.map(BigInt),
        parameters: new Map(Object.entries(parameters).map(([key, value]) => [key, parameter(value)])),
        ...(isRaw ? {} : { contents: contentsOf(tensor) }),
      }),
    ),
    rawOutputContents: isRaw ? outputs.map(({ tensor }) => bytesOfTensor(tensor)) : [],
  })
}

function parameter(value: string | boolean): InferParameter {
  return typeof value === 'string' ? { stringParam: value } : { boolParam: value }
}

function contentsOf({ type, shape, data }: Tensor): InferTensorContents {
  const values: readonly unknown[] = Array.from(data as ArrayLike<unknown>).slice(0, countOf(shape))
  const written =
    type === 'bool'
      ? values.map((one) => one === 1)
      : type === 'string'
        ? values.map((one) => Buffer.from(one as string))
        : values
  return { [CONTENTS[type]!]: written }
}
