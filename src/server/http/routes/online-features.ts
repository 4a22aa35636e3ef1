import type { FastifyPluginAsync } from 'fastify'
import { callerOf } from '../../auth/http-access.js'
import { LOOKUP_PATH, type LookupDeps, lookUp } from '../online-lookup.js'
import type { ServerMetrics } from '../server-metrics.js'

interface Deps extends LookupDeps {
  readonly metrics: ServerMetrics
}

/** Lookups that {@link directLookups} leaves to fastify. */
export const onlineFeaturesRoutes: FastifyPluginAsync<Deps> = async (app, deps) => {
  app.post(LOOKUP_PATH, async (request, reply) => {
    const { body, headers } = request
    const { answer, contentType } = await lookUp(deps, body, headers.accept, () => callerOf(request))
    deps.metrics.countLookup(request, answer)
    // All of it is with the operating system then. Of an answer that does not get there the buffer is lost.
    reply.raw.once('finish', answer.release)
    return reply.code(200).header('content-type', contentType).send(answer.body)
  })
}
