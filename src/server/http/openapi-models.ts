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

const INTEGER: Json = { type: 'integer' }
const COMMENT: Json = { ...STRING, maxLength: 1024, description: 'Why; kept for ever' }
const REVISION: Json = { ...INTEGER, description: 'Only if it is still at this revision; else 409' }

const name = pathParameter('name', 'Of a model')
const version = pathParameter('version', 'Number or alias')
const alias = pathParameter('alias', 'champion, canary, challenger or any other')
const MODEL = jsonResponse('The model', ref('Model'))
const VERSION = jsonResponse('The version', ref('ModelVersion'))

/** Routes of the model registry. */
const MODEL_PATHS: Json = {
  '/models': {
    get: read('List models', jsonResponse('All models', { type: 'array', items: ref('Model') })),
  },
  '/models/{name}': { get: read('Show a model and what this server serves of it', MODEL, name) },
  '/models/{name}/versions': {
    post: {
      ...operation('Register an ONNX file as a new version, pending', 'ModelRegistration', {
        201: VERSION,
        409: feastError('The client token was used for another file'),
      }),
      parameters: [name],
    },
  },
  '/models/{name}/versions/{version}': { get: read('Show a version', VERSION, name, version) },
  '/models/{name}/versions/{version}/approval': {
    post: change('Approve, reject or revoke a version', 'ModelApproval', VERSION, name, version),
  },
  '/models/{name}/aliases/{alias}': {
    put: change('Point an alias to a version', 'ModelAlias', MODEL, name, alias),
    delete: change('Take an alias away', 'ModelComment', MODEL, name, alias),
  },
  '/models/{name}/deployments': {
    post: change('Serve an approved version', 'ModelDeployment', MODEL, name),
  },
  '/models/{name}/rollback': {
    post: change('Serve the version that was served before', 'ModelRollback', MODEL, name),
  },
  '/models/{name}/history': {
    get: read(
      'Everything that ever happened to a model; with `at`, which version served then',
      jsonResponse('Entries of its log, or a version', {}),
      name,
      query('at', 'ISO 8601'),
      query('alias', 'With `at`; default: champion'),
    ),
  },
  '/models/{name}/compare': {
    get: read(
      'What differs between two versions',
      jsonResponse('Differences of metrics, parameters, features and signature', { type: 'object' }),
      name,
      { ...query('versions', 'Two, such as 3,4'), required: true },
    ),
  },
}

const MODEL_SCHEMAS: Json = {
  Model: object(
    {
      model: STRING,
      revision: INTEGER,
      aliases: { type: 'object', additionalProperties: { type: 'object' } },
      versions: { type: 'array', items: { type: 'object' } },
      serving: { anyOf: [{ type: 'object' }, { type: 'null' }], description: 'What this server has loaded' },
    },
    ['model', 'revision', 'aliases', 'versions'],
  ),
  ModelVersion: object(
    {
      model: STRING,
      version: INTEGER,
      status: { enum: ['pending', 'approved', 'rejected', 'revoked'] },
      revision: INTEGER,
      archived: { type: 'boolean' },
      aliases: STRINGS,
      manifest: { type: 'object' },
    },
    ['model', 'version', 'status', 'revision'],
  ),
  ModelRegistration: object(
    {
      artifact: {
        oneOf: [object({ base64: STRING }, ['base64']), object({ uri: STRING }, ['uri'])],
        description: 'The file itself, or where it lies below models.registry.artifact_sources',
      },
      feature_service: STRING,
      inputs: { type: 'array', items: { type: 'object' }, description: 'What fills which tensor' },
      framework: STRING,
      metrics: { type: 'object', additionalProperties: { type: 'number' } },
      params: { type: 'object' },
      examples: { type: 'array', items: { type: 'object' }, description: 'Replayed whenever it is loaded' },
      run: { type: 'object', description: 'The training run that it came from' },
      description: STRING,
      tags: { type: 'object', additionalProperties: STRING },
      comment: COMMENT,
      client_token: { ...STRING, description: 'The same token is the same version' },
    },
    ['artifact'],
  ),
  ModelApproval: object(
    {
      status: { enum: ['approved', 'rejected', 'revoked'] },
      comment: COMMENT,
      if_revision: REVISION,
      deploy: { type: 'boolean', default: false, description: 'And make it the champion' },
    },
    ['status'],
  ),
  ModelAlias: object({ version: INTEGER, comment: COMMENT, if_revision: REVISION }, ['version']),
  ModelComment: object({ comment: COMMENT }),
  ModelDeployment: object(
    {
      version: INTEGER,
      strategy: { enum: ['direct', 'canary'], default: 'direct' },
      weight: { type: 'number', minimum: 0, maximum: 100, description: 'Percent of the entities' },
      comment: COMMENT,
      if_revision: REVISION,
    },
    ['version'],
  ),
  ModelRollback: object({ alias: { ...STRING, default: 'champion' }, comment: COMMENT }),
}

/** The model registry. */
export const MODELS_PART: OpenapiPart = { paths: MODEL_PATHS, schemas: MODEL_SCHEMAS }

function read(summary: string, found: Json, ...parameters: readonly Json[]): Json {
  const { requestBody: _, ...rest } = operation(summary, '', {
    200: found,
    404: feastError('Unknown model or version'),
  })
  return { ...rest, parameters }
}

function change(summary: string, body: string, found: Json, ...parameters: readonly Json[]): Json {
  const made = operation(summary, body, {
    200: found,
    404: feastError('Unknown model or version'),
    409: feastError('It is not in a state for that, or changed since `if_revision`'),
  })
  return { ...made, parameters }
}

function query(name: string, description: string): Json {
  return { name, in: 'query', required: false, description, schema: STRING }
}
