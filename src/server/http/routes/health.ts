import type { FastifyPluginAsync } from 'fastify'
import type { FeatureStore } from '../../../feature-store/feature-store.js'

interface Deps {
  readonly store: FeatureStore
  readonly stopping: () => boolean
}

/** GET /health: 200 while the registry can be read and the server is not stopping, else 503; no body. */
export const healthRoutes: FastifyPluginAsync<Deps> = async (app, { store, stopping }) => {
  app.get('/health', async (_request, reply) => {
    const healthy = !stopping() && (await registryIsThere(store))
    return reply.code(healthy ? 200 : 503).send()
  })
}

async function registryIsThere(store: FeatureStore): Promise<boolean> {
  try {
    return (await store.registry()).projects.length > 0
  } catch {
    return false
  }
}
