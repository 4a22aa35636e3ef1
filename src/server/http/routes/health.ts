import type { FastifyPluginAsync } from 'fastify'
import type { FeatureStore } from '../../../feature-store/feature-store.js'
import type { Readiness } from '../../readiness.js'
import { sendJson } from '../send-json.js'

interface Deps {
  readonly store: FeatureStore
  readonly readiness: Readiness
  readonly stopping: () => boolean
}

/**
 * GET /health, as Feast has it: 200 while the registry can be read and the server is not stopping, else 503; no body.
 * GET /ready: the same for lookups, so the online store must answer as well; says what is missing.
 */
export const healthRoutes: FastifyPluginAsync<Deps> = async (app, { store, readiness, stopping }) => {
  app.get('/health', async (_request, reply) => {
    const healthy = !stopping() && (await registryIsThere(store))
    return reply.code(healthy ? 200 : 503).send()
  })

  app.get('/ready', async (_request, reply) => {
    const { isReady, checks } = stopping()
      ? { isReady: false, checks: { server: 'stopping' } }
      : await readiness.ask()
    const body = JSON.stringify({ status: isReady ? 'ready' : 'not ready', checks })
    return sendJson(reply, isReady ? 200 : 503, body)
  })
}

async function registryIsThere(store: FeatureStore): Promise<boolean> {
  try {
    return (await store.registry()).projects.length > 0
  } catch {
    return false
  }
}
