import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../send-json.js'

interface OpenapiOptions {
  readonly withModels: boolean
  readonly withTraining: boolean
}

/** GET /openapi.json; the document is made when it is first asked for. */
export const openapiRoutes: FastifyPluginAsync<OpenapiOptions> = async (app, options) => {
  let document: string | undefined
  app.get('/openapi.json', async (_request, reply) => {
    document ??= JSON.stringify(await documentOf(options))
    return sendJson(reply, 200, document)
  })
}

async function documentOf({ withModels, withTraining }: OpenapiOptions): Promise<object> {
  const { openapiDocument } = await import('../openapi.js')
  return openapiDocument([
    ...(withModels ? [(await import('../openapi-models.js')).MODELS_PART] : []),
    ...(withModels ? [(await import('../openapi-inference.js')).INFERENCE_PART] : []),
    ...(withTraining ? [(await import('../openapi-training.js')).TRAINING_PART] : []),
  ])
}
