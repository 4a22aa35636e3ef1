import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isFeastError } from '../../core/errors.js'
import type { AccessControl, Caller } from './access-control.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, where `auth` is configured and the route is not open. */
    caller: Caller | undefined
  }
}

/** Routes that answer whoever asks: what load balancers look at, and what Feast's documentation says anyway. */
const OPEN_ROUTES: readonly (string | undefined)[] = [
  '/health',
  '/ready',
  '/openapi.json',
  '/v2/health/live',
  '/v2/health/ready',
]

/** From here on every route asks for a token, before it reads the body; those not found as well. */
export function requireCallers(app: FastifyInstance, access: AccessControl): void {
  app.decorateRequest('caller', undefined)
  app.addHook('onRequest', async (request, reply) => {
    if (OPEN_ROUTES.includes(request.routeOptions.url)) return
    try {
      request.caller = await access.authenticate(request.headers.authorization)
    } catch (error) {
      reply.headers(challengeOf(error, request.headers.authorization))
      throw error
    }
  })
}

/** Headers of a 401 (RFC 6750). */
export function challengeOf(error: unknown, authorization: string | undefined): Record<string, string> {
  if (!isFeastError(error, 'UNAUTHENTICATED')) return {}
  const invalid = authorization === undefined ? '' : ', error="invalid_token"'
  return { 'www-authenticate': `Bearer realm="feast"${invalid}` }
}

/** Who asks. @throws when the route takes requests of nobody, which it then must not answer */
export function callerOf({ caller }: Pick<FastifyRequest, 'caller'>): Caller {
  if (caller === undefined) throw new Error('the request has no caller')
  return caller
}
