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
} from './openapi.js'

const RUN = jsonResponse('The run', ref('TrainingRun'))
const STARTED = { 202: RUN }
const run: Json = {
  parameters: [pathParameter('id', 'Id of a run')],
}
const NO_RUN = { 404: feastError('Unknown run') }
const WRONG_STATE = { ...NO_RUN, 409: feastError('It is not in a state for that') }
const OBJECT: Json = { type: 'object' }
const STATUS: Json = { enum: ['running', 'succeeded', 'failed', 'stopped', 'interrupted'] }

/** Training pipelines and their runs. */
export const TRAINING_PART: OpenapiPart = {
  paths: {
    '/pipelines': {
      get: {
        summary: 'List the training pipelines of the feature repo',
        responses: { 200: jsonResponse('Pipelines', { type: 'array', items: OBJECT }) },
      },
    },
    '/training-runs': {
      get: {
        summary: 'List runs, newest first',
        parameters: [{ name: 'pipeline', in: 'query', schema: STRING }],
        responses: { 200: jsonResponse('Runs', { type: 'array', items: ref('TrainingRun') }) },
      },
      post: operation('Join the dataset and start a pipeline on it', 'TrainingRunRequest', {
        ...STARTED,
        404: feastError('Unknown pipeline, or a feature service that is not there'),
        409: feastError('A run of that id was started with something else'),
      }),
    },
    '/training-runs/{id}': {
      get: { summary: 'Show a run', ...run, responses: { 200: RUN, ...NO_RUN } },
    },
    '/training-runs/{id}/events': {
      get: {
        summary: 'All that happened in a run, oldest first',
        ...run,
        responses: { 200: jsonResponse('Events', { type: 'array', items: OBJECT }), ...NO_RUN },
      },
    },
    '/training-runs/{id}/stop': {
      post: { summary: 'Stop a run', ...run, responses: { 200: RUN, ...WRONG_STATE } },
    },
    '/training-runs/{id}/retry': {
      post: {
        summary: 'Go on with a run at the step that failed or was interrupted',
        ...run,
        responses: { ...STARTED, ...WRONG_STATE },
      },
    },
  },
  schemas: {
    TrainingRunRequest: object(
      {
        pipeline: STRING,
        params: { type: 'object', description: 'Inputs of the pipeline' },
        run_id: { ...STRING, description: 'Given again with the same params, it is the same run' },
      },
      ['pipeline'],
    ),
    TrainingRun: object(
      {
        run_id: STRING,
        pipeline: STRING,
        status: STATUS,
        outcome: { enum: ['registered', 'gate_failed', null] },
        started_at: STRING,
        ended_at: { type: ['string', 'null'] },
        params: OBJECT,
        dataset_uri: { type: ['string', 'null'] },
        metrics: { type: ['object', 'null'] },
        model: { type: ['string', 'null'], description: 'The version that was registered' },
        error: { type: ['string', 'null'] },
        steps: { type: 'array', items: object({ name: STRING, status: STRING }, ['name', 'status']) },
        url: { type: ['string', 'null'] },
      },
      ['run_id', 'pipeline', 'status'],
    ),
  },
}
