import type { FastifyPluginAsync } from 'fastify'
import { METRICS_CONTENT_TYPE } from '../../metrics-server.js'

interface Deps {
  readonly metricsText: () => Promise<string>
}

/** GET /metrics in Prometheus' text format. */
export const metricsRoutes: FastifyPluginAsync<Deps> = async (app, { metricsText }) => {
  app.get('/metrics', async (_request, reply) => {
    reply.header('content-type', METRICS_CONTENT_TYPE)
    return metricsText()
  })
}
