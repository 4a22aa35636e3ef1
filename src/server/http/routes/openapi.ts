import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../send-json.js'

/** GET /openapi.json; the document is made when it is first asked for. */
export const openapiRoutes: FastifyPluginAsync<{ readonly withModels: boolean }> = async (
  app,
  { withModels },
) => {
  let document: string | undefined
  app.get('/openapi.json', async (_request, reply) => {
    document ??= JSON.stringify(await documentOf(withModels))
    return sendJson(reply, 200, document)
  })
}

async function documentOf(withModels: boolean): Promise<object> {
  const { openapiDocument } = await import('../openapi.js')
  return openapiDocument(withModels ? [(await import('../openapi-models.js')).MODELS_PART] : [])
}
