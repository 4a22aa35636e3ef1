import type { FastifyReply } from 'fastify'

/** Sends JSON text as bytes: to text, fastify would add a charset that Feast's answers do not have. */
export function sendJson(reply: FastifyReply, status: number, json: string | Buffer): FastifyReply {
  const body = typeof json === 'string' ? Buffer.from(json) : json
  return reply.code(status).header('content-type', 'application/json').send(body)
}
