import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Logger } from '../../../core/logger.js'
import type { FeatureStore } from '../../../feature-store/feature-store.js'
import { readShape } from '../../../models/manifest-json.js'
import { openTraining } from '../../../training/index.js'
import { loadPipeline, loadPipelines } from '../../../training/load-pipelines.js'
import type { Pipeline } from '../../../training/pipeline.js'
import { startRun, type TrainingParts } from '../../../training/start-run.js'
import type { TrainingRun } from '../../../training/training-trigger.js'
import type { AccessControl } from '../../auth/access-control.js'
import { callerOf } from '../../auth/http-access.js'
import { openModelCandidates } from '../../model-candidates.js'
import type { ServerLog } from '../../server-log.js'
import { sendJson } from '../send-json.js'

interface Deps {
  readonly store: FeatureStore
  readonly log: ServerLog
  readonly access: AccessControl | undefined
}

const START = z.strictObject({
  pipeline: z.string(),
  params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  /** Given again with the same parameters, it is the same run. */
  run_id: z.string().optional(),
})

interface OfRun {
  readonly id: string
}

/**
 * Training runs over HTTP. Who starts, stops or retries one may read the history of its feature service. Runs on this
 * machine end with the server, and can be retried.
 */
export const trainingRoutes: FastifyPluginAsync<Deps> = async (app, { store, log, access }) => {
  const training = lazily(() => openParts(store, log.logger))
  app.addHook('onClose', async () => (await training.opened())?.close())
  const pipelineOf = (name: string) => loadPipeline(store.config.repoPath, name)

  /** @throws PERMISSION_DENIED */
  async function demand(request: FastifyRequest, { dataset }: Pipeline): Promise<void> {
    await access?.demandTraining(callerOf(request), dataset.featureService)
  }

  app.get('/pipelines', async (_request, reply) => {
    const pipelines = [...(await loadPipelines(store.config.repoPath)).values()]
    return sendJson(reply, 200, JSON.stringify(pipelines.map(pipelineJson)))
  })

  app.post('/training-runs', async (request, reply) => {
    const body = readShape(START, request.body, 'body')
    const pipeline = await pipelineOf(body.pipeline)
    await demand(request, pipeline)
    const run = await startRun(await training.open(), {
      pipeline,
      params: body.params,
      runId: body.run_id,
      startedBy: access === undefined ? 'anonymous' : callerOf(request).name,
    })
    return sendJson(reply, 202, JSON.stringify(runJson(run)))
  })

  app.get('/training-runs', async ({ query }, reply) => {
    const { pipeline } = query as { readonly pipeline?: string }
    const runs = await (await training.open()).trigger.list(pipeline)
    return sendJson(reply, 200, JSON.stringify(runs.map(runJson)))
  })

  app.get<{ Params: OfRun }>('/training-runs/:id', async ({ params }, reply) => {
    const run = await (await training.open()).trigger.describe(params.id)
    return sendJson(reply, 200, JSON.stringify(runJson(run)))
  })

  app.get<{ Params: OfRun }>('/training-runs/:id/events', async ({ params }, reply) => {
    const events = await (await training.open()).trigger.events(params.id)
    return sendJson(reply, 200, JSON.stringify(events))
  })

  app.post<{ Params: OfRun }>('/training-runs/:id/stop', async (request, reply) => {
    const { trigger } = await training.open()
    const { id } = request.params
    await demand(request, await pipelineOf((await trigger.describe(id)).pipeline))
    await trigger.stop(id)
    return sendJson(reply, 200, JSON.stringify(runJson(await trigger.describe(id))))
  })

  app.post<{ Params: OfRun }>('/training-runs/:id/retry', async (request, reply) => {
    const { trigger } = await training.open()
    const { id } = request.params
    const pipeline = await pipelineOf((await trigger.describe(id)).pipeline)
    await demand(request, pipeline)
    return sendJson(reply, 202, JSON.stringify(runJson(await trigger.retry(pipeline, id))))
  })
}

async function openParts(
  store: FeatureStore,
  logger: Logger,
): Promise<TrainingParts & { close(): Promise<void> }> {
  const candidates = openModelCandidates(store)
  const parts = await openTraining(store, { candidates, logger })
  return {
    ...parts,
    async close() {
      await parts.trigger.close()
      await candidates.close()
    },
  }
}

function lazily<T>(open: () => Promise<T>): { open(): Promise<T>; opened(): Promise<T | undefined> } {
  let opening: Promise<T> | undefined
  return {
    open() {
      opening ??= open().catch((error) => {
        opening = undefined
        throw error
      })
      return opening
    },
    opened: async () => opening?.catch(() => undefined),
  }
}

function pipelineJson({ name, description, inputs, dataset, steps, register }: Pipeline) {
  return {
    name,
    description,
    inputs,
    feature_service: dataset.featureService,
    steps: steps.map((step) => step.name),
    model: register.model,
  }
}

function runJson(run: TrainingRun) {
  return {
    run_id: run.runId,
    pipeline: run.pipeline,
    status: run.status,
    outcome: run.outcome ?? null,
    started_at: run.startedAt,
    ended_at: run.endedAt ?? null,
    params: run.input['params'] ?? {},
    dataset_uri: run.input['dataset_uri'] ?? null,
    metrics: run.metrics ?? null,
    model: run.model ?? null,
    error: run.error ?? null,
    steps: run.steps.map(({ name, status, startedAt, endedAt }) => ({
      name,
      status,
      started_at: startedAt,
      ended_at: endedAt ?? null,
    })),
    url: run.url ?? null,
  }
}
