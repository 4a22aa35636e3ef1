import type { FastifyPluginAsync } from 'fastify'
import type { ServerMetrics } from '../server-metrics.js'

/** GET /metrics in Prometheus' text format. */
export const metricsRoutes: FastifyPluginAsync<{ readonly metrics: ServerMetrics }> = async (
  app,
  { metrics },
) => {
  app.get('/metrics', async (_request, reply) => {
    reply.header('content-type', metrics.contentType)
    return metrics.text()
  })
}
