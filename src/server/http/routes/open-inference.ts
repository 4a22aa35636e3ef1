import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import { feastError, isFeastError } from '../../../core/errors.js'
import type { Tensor } from '../../../core/tensor.js'
import type { Models } from '../../../models/open-models.js'
import type {
  InferAnswer,
  InferenceDeps,
  InferRequest,
  ModelMetadata,
} from '../../inference/inference-service.js'
import { createInferenceService, type InferenceService } from '../../inference/inference-service.js'
import {
  bytesOfTensor,
  checkShape,
  datatypeOf,
  jsonOfTensor,
  tensorOfBytes,
  tensorOfJson,
  typeOfDatatype,
  wrong,
} from '../../inference/tensor-datatype.js'
import type { BodyParser } from '../body-parsers.js'
import type { BodyReader } from '../body-reader.js'
import type { DirectAnswer, DirectRequest, DirectRoutes } from '../direct-routes.js'
import {
  askedOf,
  countError,
  type ErrorAnswer,
  type ExchangeOptions,
  errorHeaders,
  type Asked as Identity,
} from '../http-exchange.js'
import { parseInferBody } from '../number-lists.js'
import { sendJson } from '../send-json.js'
import { timeoutOf } from './predict.js'

interface Deps extends InferenceDeps, ExchangeOptions {
  readonly models: Models
  readonly bodies: BodyReader
  /** Around what runs a model. */
  readonly bound: (app: FastifyInstance) => void
  readonly direct: DirectRoutes
}

type Params = { readonly model: string; readonly version?: string }

/** Bytes of JSON in front of the tensors that are sent as bytes. */
const HEADER_LENGTH = 'inference-header-content-length'

/** With how they are recognized where nothing in them has to be decoded. */
const INFER_ROUTES = [
  ['/v2/models/:model/infer', /^\/v2\/models\/(?<model>[\w.-]{1,100})\/infer$/],
  [
    '/v2/models/:model/versions/:version/infer',
    /^\/v2\/models\/(?<model>[\w.-]{1,100})\/versions\/(?<version>[\w.-]{1,100})\/infer$/,
  ],
] as const
const RAW: ReadonlyMap<string, BodyParser> = new Map(
  ['application/json', 'application/octet-stream'].map((type) => [type, (body) => body]),
)

/** The Open Inference Protocol v2 over HTTP, with tensors as JSON or as bytes behind it. */
export const openInferenceRoutes: FastifyPluginAsync<Deps> = async (app, deps) => {
  const service = createInferenceService(deps)
  readBodies(app, deps.bodies)
  answerErrors(app, deps)

  app.get('/v2', async (_, reply) => sendJson(reply, 200, JSON.stringify(service.serverMetadata())))
  app.get('/v2/health/live', async (_, reply) => sendJson(reply, 200, '{"live":true}'))
  app.get('/v2/health/ready', async (_, reply) => {
    const ready = service.isReady()
    return sendJson(reply, ready ? 200 : 503, JSON.stringify({ live: true, ready }))
  })
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    app.get<{ Params: Params }>(path, async ({ params }, reply) => {
      const metadata: ModelMetadata = await service.metadata(params.model, params.version)
      return sendJson(reply, 200, JSON.stringify(metadata))
    })
    app.get<{ Params: Params }>(`${path}/ready`, async ({ params }, reply) => {
      await service.metadata(params.model, params.version)
      return sendJson(reply, 200, JSON.stringify({ name: params.model, ready: true }))
    })
  }
  await app.register(async (bounded) => {
    deps.bound(bounded)
    for (const [url, pattern] of INFER_ROUTES) {
      deps.direct.post(bounded, {
        url,
        match: (path) => pattern.exec(path)?.groups,
        parsers: RAW,
        answer: (request) => infer(service, request),
        fail: (error, asked) => inferError(deps, error, asked),
      })
    }
  })
}

/** Bytes, as what follows the JSON may be anything. */
function readBodies(app: FastifyInstance, bodies: BodyReader): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => {
    bodies.read(payload as FastifyRequest['raw'], (error, body) => done(error, body))
  })
}

function answerErrors(app: FastifyInstance, deps: Deps): void {
  app.setErrorHandler((error, request, reply) => {
    const { status, headers, body } = inferError(deps, error, askedOf(request))
    sendJson(reply.headers(headers), status, body)
  })
}

/** `{"error": …}`, and 400 for whatever is wrong with a request. */
function inferError(deps: Deps, error: unknown, asked: Identity): ErrorAnswer {
  const known = isFeastError(error)
  const given = known ? error.http : ((error as { statusCode?: number }).statusCode ?? 500)
  const status = given === 422 ? 400 : given
  countError(deps, error, asked, status)
  const message = known || status < 500 ? (error as Error).message : 'Internal Server Error'
  return { status, headers: errorHeaders(error, status), body: JSON.stringify({ error: message }) }
}

async function infer(service: InferenceService, request: DirectRequest): Promise<DirectAnswer> {
  const { head, tail } = splitBody(request)
  const asked = readRequest(head, tail)
  const { model, version } = request.params as Params
  const timeoutMs = timeoutOf(request)
  const infers: InferRequest = { ...asked, model, version, timeoutMs, caller: request.caller }
  return answerOf(await service.infer(infers), asked)
}

interface Asked {
  readonly id: string | undefined
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly outputs: readonly string[] | undefined
  /** Whether an output is to be sent as bytes. */
  readonly isBinary: (output: string) => boolean
}

function splitBody({ body, headers }: DirectRequest): { head: unknown; tail: Buffer } {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  const given = headers[HEADER_LENGTH]
  const length = given === undefined ? bytes.length : Number(given)
  if (!Number.isSafeInteger(length) || length < 0 || length > bytes.length) {
    throw malformed(`the header ${HEADER_LENGTH} is no length within the body`)
  }
  const json = bytes.subarray(0, length)
  if (!isUtf8(json)) throw malformed('the body is not UTF-8')
  try {
    return { head: parseInferBody(json), tail: bytes.subarray(length) }
  } catch (error) {
    throw malformed(`the body is not JSON: ${(error as Error).message}`)
  }
}

type Json = Readonly<Record<string, unknown>>

function readRequest(head: unknown, tail: Buffer): Asked {
  const body = objectOf(head, 'the body')
  const parameters = parametersOf(body)
  const outputs = body['outputs'] === undefined ? undefined : listOf(body['outputs'], 'outputs').map(outputOf)
  const allBinary = parameters['binary_data_output'] === true
  const binary = new Map(outputs?.map(({ name, isBinary }) => [name, isBinary]))
  const { id } = body
  if (id !== undefined && typeof id !== 'string') throw malformed('id is no text')
  return {
    id,
    tensors: tensorsOf(listOf(body['inputs'], 'inputs'), tail),
    outputs: outputs?.length ? outputs.map(({ name }) => name) : undefined,
    isBinary: (output) => binary.get(output) ?? allBinary,
  }
}

function outputOf(given: unknown): { name: string; isBinary: boolean | undefined } {
  const output = objectOf(given, 'an output')
  const isBinary = parametersOf(output)['binary_data']
  return { name: nameOf(output, 'an output'), isBinary: typeof isBinary === 'boolean' ? isBinary : undefined }
}

function tensorsOf(inputs: readonly unknown[], tail: Buffer): ReadonlyMap<string, Tensor> {
  const tensors = new Map<string, Tensor>()
  let at = 0
  for (const given of inputs) {
    const input = objectOf(given, 'an input')
    const name = nameOf(input, 'an input')
    if (tensors.has(name)) throw wrong(name, 'it is given twice')
    const type = typeOfDatatype(input['datatype'], name)
    const shape = checkShape(input['shape'], name)
    const size = parametersOf(input)['binary_data_size']
    if (size === undefined) {
      tensors.set(name, tensorOfJson(type, shape, input['data'], name))
      continue
    }
    if (!Number.isSafeInteger(size) || (size as number) < 0 || at + (size as number) > tail.length) {
      throw wrong(
        name,
        `binary_data_size ${String(size)} is not within the ${tail.length - at} bytes that are left`,
      )
    }
    tensors.set(name, tensorOfBytes(type, shape, tail.subarray(at, at + (size as number)), name))
    at += size as number
  }
  if (at !== tail.length) throw malformed(`${tail.length - at} bytes behind the JSON belong to no input`)
  return tensors
}

function answerOf(answer: InferAnswer, { id, isBinary }: Asked): DirectAnswer {
  const tails: Buffer[] = []
  const outputs = answer.outputs.map(({ name, tensor, parameters }) => {
    const { type, shape } = tensor
    const said = `"name":${JSON.stringify(name)},"datatype":"${datatypeOf(type)}","shape":${JSON.stringify(shape)}`
    if (isBinary(name)) {
      const bytes = bytesOfTensor(tensor)
      tails.push(bytes)
      return `{${said},"parameters":${JSON.stringify({ ...parameters, binary_data_size: bytes.length })}}`
    }
    const { text, isFinite } = jsonOfTensor(tensor)
    const all = isFinite ? parameters : { ...parameters, non_finite: true }
    const told = Object.keys(all).length > 0 ? `,"parameters":${JSON.stringify(all)}` : ''
    return `{${said}${told},"data":${text}}`
  })
  const names = `"model_name":${JSON.stringify(answer.model)},"model_version":${JSON.stringify(answer.version)}`
  const told = id === undefined ? '' : `,"id":${JSON.stringify(id)}`
  const head = Buffer.from(`{${names}${told},"outputs":[${outputs.join()}]}`)
  if (tails.length === 0) return { headers: { 'content-type': 'application/json' }, body: head }
  const headers = { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(head.length) }
  return { headers, body: Buffer.concat([head, ...tails]) }
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw malformed(`${what} is no object`)
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw malformed(`${what} is no list`)
}

function nameOf(object: Json, what: string): string {
  const name = object['name']
  if (typeof name === 'string') return name
  throw malformed(`${what} has no name`)
}

function parametersOf(object: Json): Json {
  const parameters = object['parameters']
  return parameters === undefined || parameters === null ? {} : objectOf(parameters, 'parameters')
}

function malformed(why: string): Error {
  return feastError('INVALID_REQUEST', { message: `The request cannot be read: ${why}.` })
}
