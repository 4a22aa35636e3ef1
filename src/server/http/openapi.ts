export type Json = Readonly<Record<string, unknown>>

/** Routes and schemas of a group of routes that not every server has. */
export interface OpenapiPart {
  readonly paths: Json
  readonly schemas: Json
}

/** The OpenAPI 3.1 description of the routes. */
export function openapiDocument(parts: readonly OpenapiPart[] = []): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Feature server',
      version: '0.66',
      description:
        'Looks up, writes and materializes online features. The protocol is that of Feast 0.66. An answer names its ' +
        'request in the header x-request-id, and an error its code in feast-error-code.',
    },
    paths: {
      '/get-online-features': { post: lookupOperation() },
      '/push': {
        post: operation('Write rows to all views that a push source feeds', 'PushFeaturesRequest', {
          200: { description: 'Written; no body' },
        }),
      },
      '/write-to-online-store': {
        post: operation('Write rows to one view', 'WriteToFeatureStoreRequest', {
          200: jsonResponse('Written', { type: 'null' }),
          404: feastError('Unknown feature view'),
        }),
      },
      '/materialize': { post: materializeOperation('a range of time', 'MaterializeRequest') },
      '/materialize-incremental': {
        post: materializeOperation('what came since the last run', 'MaterializeIncrementalRequest'),
      },
      '/health': {
        get: {
          summary: 'Whether the server can answer',
          security: [],
          responses: { 200: { description: 'It can' }, 503: { description: 'It cannot, or is stopping' } },
        },
      },
      '/ready': {
        get: {
          summary: 'Whether lookups can be answered: there is a registry, and the online store answers',
          security: [],
          responses: {
            200: jsonResponse('They can', ref('Readiness')),
            503: jsonResponse('They cannot; says why', ref('Readiness')),
          },
        },
      },
      '/metrics': {
        get: {
          summary: 'Metrics for Prometheus',
          responses: {
            200: { description: 'Text format', content: { 'text/plain': { schema: STRING } } },
            401: UNAUTHENTICATED,
          },
        },
      },
      '/openapi.json': {
        get: {
          summary: 'This description',
          security: [],
          responses: { 200: jsonResponse('OpenAPI 3.1', { type: 'object' }) },
        },
      },
      ...Object.assign({}, ...parts.map(({ paths }) => paths)),
    },
    // Both: with a token where the server asks for one, else without.
    security: [{}, { token: [] }],
    components: {
      schemas: Object.assign({}, SCHEMAS, ...parts.map(({ schemas }) => schemas)),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'Where auth is configured' },
      },
    },
  }
}

/** The one route that also speaks protobuf. */
function lookupOperation(): Json {
  const found = jsonResponse(
    'One result per feature name, one value per entity row',
    ref('OnlineFeaturesResponse'),
  )
  const { requestBody, ...json } = operation('Look up online features', 'GetOnlineFeaturesRequest', {
    200: { ...found, content: { ...found.content, ...message('GetOnlineFeaturesResponse') } },
    404: feastError('Unknown feature view, feature, service, or request data is missing'),
  })
  return {
    ...json,
    description:
      'Also as messages of feast.serving, at both ends or at one: a body with Content-Type application/x-protobuf ' +
      'is a GetOnlineFeaturesRequest, and Accept: application/x-protobuf asks for a GetOnlineFeaturesResponse. ' +
      'Whoever sends a message gets one unless Accept says otherwise. Errors are JSON in any case.',
    requestBody: {
      ...requestBody,
      content: { ...requestBody.content, ...message('GetOnlineFeaturesRequest') },
    },
  }
}

function message(name: string): Json {
  return { 'application/x-protobuf': { schema: { description: `The message feast.serving.${name}` } } }
}

export function operation(summary: string, body: string, responses: Json) {
  return {
    summary,
    requestBody: { required: true, content: { 'application/json': { schema: ref(body) } } },
    responses: {
      ...responses,
      400: feastError('The request cannot be answered'),
      401: UNAUTHENTICATED,
      403: feastError('The permissions of the registry do not let the caller do that'),
      413: feastError('Too many bytes, rows, values or features'),
      422: {
        description: 'The body or a value in it is not what it must be',
        content: {
          'application/json': { schema: { anyOf: [ref('HTTPValidationError'), ref('FeastError')] } },
        },
      },
      500: feastError('A fault of the server, which its log describes'),
      503: {
        ...feastError('A store does not answer, the server has too much to do, or is stopping; try again'),
        headers: { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } },
      },
    },
  }
}

function materializeOperation(what: string, body: string): Json {
  const query = (name: string, description: string) => ({
    name,
    in: 'query',
    required: false,
    description,
    schema: { type: 'boolean', default: false },
  })
  return {
    ...operation(`Bring ${what} online`, body, {
      200: jsonResponse('Done', { type: 'null' }),
      202: jsonResponse('Accepted', ref('MaterializeAccepted')),
      404: feastError('Unknown feature view'),
      409: jsonResponse('Being materialized already', {
        anyOf: [ref('MaterializeConflict'), ref('FeastError')],
      }),
    }),
    parameters: [
      query('async', 'Answer at once and run in the background'),
      query('force', 'Also where a run in the background goes on already'),
    ],
  }
}

/** A text in the path of a route. */
export function pathParameter(name: string, description: string): Json {
  return { name, in: 'path', required: true, description, schema: STRING }
}

export function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` }
}

export function jsonResponse(description: string, schema: Json) {
  return { description, content: { 'application/json': { schema } } }
}

export function feastError(description: string): Json {
  return jsonResponse(description, ref('FeastError'))
}

export const STRING: Json = { type: 'string' }
const UNAUTHENTICATED: Json = {
  ...jsonResponse('No valid bearer token, where auth is configured', object({ detail: STRING }, ['detail'])),
  headers: { 'WWW-Authenticate': { description: 'Bearer', schema: STRING } },
}
export const STRINGS: Json = { type: 'array', items: STRING }
const OPTIONAL_STRING: Json = { anyOf: [STRING, { type: 'null' }] }
const COLUMNS: Json = {
  type: 'object',
  description: 'Column to values, all of the same length',
  additionalProperties: { type: 'array', items: {} },
}
const VIEWS: Json = {
  anyOf: [STRINGS, { type: 'null' }],
  description: 'Names of feature views; null for all that are online',
}

function flag(fallback: boolean, description?: string): Json {
  return { type: 'boolean', default: fallback, ...(description && { description }) }
}

export function object(properties: Json, required: readonly string[] = []): Json {
  return { type: 'object', properties, ...(required.length > 0 && { required }) }
}

const SCHEMAS: Json = {
  Readiness: object(
    {
      status: { type: 'string', enum: ['ready', 'not ready'] },
      checks: {
        type: 'object',
        additionalProperties: STRING,
        description: 'Per part "ok", or what is wrong',
      },
    },
    ['status', 'checks'],
  ),
  GetOnlineFeaturesRequest: object(
    {
      entities: { ...COLUMNS, description: 'Join keys and request data: column to values, one per row' },
      features: { ...STRINGS, default: [], description: 'References: view:feature or view@v2:feature' },
      feature_service: { ...OPTIONAL_STRING, description: 'Wins over features' },
      full_feature_names: flag(false, 'Name results view__feature'),
      include_feature_view_version_metadata: flag(false),
    },
    ['entities'],
  ),
  OnlineFeaturesResponse: object(
    {
      results: {
        type: 'array',
        items: object({
          values: { type: 'array', items: {} },
          statuses: {
            type: 'array',
            items: { enum: ['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE', 'INVALID'] },
          },
          event_timestamps: { type: 'array', items: { type: 'string', format: 'date-time' } },
        }),
      },
      metadata: object({ feature_names: STRINGS }),
    },
    ['results', 'metadata'],
  ),
  PushFeaturesRequest: object(
    {
      push_source_name: STRING,
      df: COLUMNS,
      to: { enum: ['online', 'offline', 'online_and_offline'], default: 'online' },
      allow_registry_cache: flag(true),
      transform_on_write: flag(true),
    },
    ['push_source_name', 'df'],
  ),
  WriteToFeatureStoreRequest: object(
    {
      feature_view_name: STRING,
      df: COLUMNS,
      allow_registry_cache: flag(true),
      transform_on_write: flag(true),
    },
    ['feature_view_name', 'df'],
  ),
  MaterializeRequest: object({
    start_ts: { ...OPTIONAL_STRING, description: 'ISO 8601' },
    end_ts: { ...OPTIONAL_STRING, description: 'ISO 8601' },
    feature_views: VIEWS,
    disable_event_timestamp: flag(false, 'Read the whole history and stamp its rows with now'),
    full_feature_names: flag(false),
    version: OPTIONAL_STRING,
  }),
  MaterializeIncrementalRequest: object(
    {
      end_ts: { ...STRING, description: 'ISO 8601' },
      feature_views: VIEWS,
      full_feature_names: flag(false),
      version: OPTIONAL_STRING,
    },
    ['end_ts'],
  ),
  MaterializeAccepted: object({ status: { const: 'accepted' }, feature_views: STRINGS }, [
    'status',
    'feature_views',
  ]),
  MaterializeConflict: object({ error: STRING, feature_views: STRINGS }, ['error', 'feature_views']),
  FeastError: {
    type: 'string',
    description: 'JSON text of an object with the members module, class and message',
  },
  HTTPValidationError: object({
    detail: {
      type: 'array',
      items: object(
        {
          type: STRING,
          loc: { type: 'array', items: { anyOf: [STRING, { type: 'integer' }] } },
          msg: STRING,
          input: {},
          ctx: { type: 'object' },
        },
        ['type', 'loc', 'msg'],
      ),
    },
  }),
}
