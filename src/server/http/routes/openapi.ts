import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../send-json.js'

/** GET /openapi.json; the document is made when it is first asked for. */
export const openapiRoutes: FastifyPluginAsync = async (app) => {
  let document: string | undefined
  app.get('/openapi.json', async (_request, reply) => {
    document ??= JSON.stringify((await import('../openapi.js')).openapiDocument())
    return sendJson(reply, 200, document)
  })
}
