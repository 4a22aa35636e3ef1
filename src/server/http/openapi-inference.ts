import {
  feastError,
  type Json,
  jsonResponse,
  type OpenapiPart,
  object,
  operation,
  pathParameter,
  ref,
  STRING,
  STRINGS,
} from './openapi.js'

const INTEGERS: Json = { type: 'array', items: { type: 'integer' } }
const TENSOR = {
  name: STRING,
  datatype: { ...STRING, description: 'BOOL, UINT8 … UINT64, INT8 … INT64, FP16, FP32, FP64 or BYTES' },
  shape: INTEGERS,
}
const PARAMETERS: Json = { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } }
const WRONG = jsonResponse('What is wrong', object({ error: STRING }, ['error']))
const OVERLOADED = { ...WRONG, headers: { 'Retry-After': { schema: { type: 'integer' } } } }

const model = pathParameter('model', 'Of a model, or feature_service.<name>')
const version = pathParameter('version', 'Of the model')

function look(summary: string, schema: Json, ...parameters: readonly Json[]): Json {
  return { get: { summary, parameters, responses: { 200: jsonResponse('It', schema), 404: WRONG } } }
}

function health(summary: string): Json {
  const answer = jsonResponse('Whether', object({ live: { type: 'boolean' }, ready: { type: 'boolean' } }))
  return { get: { summary, security: [], responses: { 200: answer, 503: answer } } }
}

function infer(...parameters: readonly Json[]): Json {
  return {
    post: {
      summary: 'Run a model on tensors, or look up a feature service',
      description:
        'With the header Inference-Header-Content-Length, tensors whose parameters have binary_data_size follow the JSON as bytes.',
      parameters,
      requestBody: { required: true, content: { 'application/json': { schema: ref('InferRequest') } } },
      responses: {
        200: jsonResponse('The outputs', ref('InferResponse')),
        400: WRONG,
        404: WRONG,
        503: OVERLOADED,
        504: WRONG,
      },
    },
  }
}

const READY = object({ name: STRING, ready: { type: 'boolean' } })

/** Predictions: /predict, and the Open Inference Protocol v2. */
export const INFERENCE_PART: OpenapiPart = {
  paths: {
    '/predict': {
      post: operation('Look up features and run a model on them', 'PredictRequest', {
        200: jsonResponse('One prediction per entity row', ref('PredictResponse')),
        404: feastError('Unknown model or version'),
        504: feastError('Not answered in time'),
      }),
    },
    '/v2': look('What the server is', object({ name: STRING, version: STRING, extensions: STRINGS })),
    '/v2/health/live': health('Whether the server lives'),
    '/v2/health/ready': health('Whether every model that must be there is'),
    '/v2/models/{model}': look('Inputs and outputs of a model', ref('ModelMetadata'), model),
    '/v2/models/{model}/ready': look('Whether a model is ready', READY, model),
    '/v2/models/{model}/infer': infer(model),
    '/v2/models/{model}/versions/{version}': look('Of one version', ref('ModelMetadata'), model, version),
    '/v2/models/{model}/versions/{version}/ready': look('Whether it is ready', READY, model, version),
    '/v2/models/{model}/versions/{version}/infer': infer(model, version),
  },
  schemas: {
    PredictRequest: object(
      {
        model: STRING,
        version: { ...STRING, description: 'Default: the one that serves' },
        entities: { type: 'object', additionalProperties: { type: 'array', items: {} } },
        request_data: { type: 'object', additionalProperties: { type: 'array', items: {} } },
        overrides: {
          type: 'object',
          additionalProperties: { type: 'array', items: {} },
          description: 'Feature to values used in place of those looked up; null leaves the row its own',
        },
        options: object({
          explain: { type: 'boolean', description: 'Tell the features with statuses and times' },
          features: { type: 'boolean', description: 'The same' },
          statuses: { type: 'boolean', description: 'Tell their statuses' },
          partial: { type: 'boolean', description: 'Rows that cannot be predicted fail alone' },
          timeout_ms: { type: 'number', exclusiveMinimum: 0 },
        }),
      },
      ['model', 'entities'],
    ),
    PredictResponse: object(
      {
        model: STRING,
        version: STRING,
        role: STRING,
        predictions: { type: 'array', items: { type: 'object' } },
        metadata: { type: 'object' },
      },
      ['model', 'version', 'role', 'predictions', 'metadata'],
    ),
    ModelMetadata: object({
      name: STRING,
      versions: STRINGS,
      platform: STRING,
      inputs: { type: 'array', items: object(TENSOR) },
      outputs: { type: 'array', items: object(TENSOR) },
    }),
    InferRequest: object(
      {
        id: STRING,
        parameters: PARAMETERS,
        inputs: {
          type: 'array',
          items: object({ ...TENSOR, parameters: PARAMETERS, data: { type: 'array', items: {} } }, [
            'name',
            'datatype',
            'shape',
          ]),
        },
        outputs: { type: 'array', items: object({ name: STRING, parameters: PARAMETERS }, ['name']) },
      },
      ['inputs'],
    ),
    InferResponse: object({
      model_name: STRING,
      model_version: STRING,
      id: STRING,
      outputs: {
        type: 'array',
        items: object({ ...TENSOR, parameters: PARAMETERS, data: { type: 'array', items: {} } }),
      },
    }),
  },
}
