import type { FastifyReply, FastifyRequest } from 'fastify'

/** What clients call a protobuf message. */
export const PROTOBUF_TYPES = ['application/x-protobuf', 'application/protobuf'] as const

/** The body, if it came as a protobuf message. */
export function protobufBody({ body }: FastifyRequest): Buffer | undefined {
  return Buffer.isBuffer(body) ? body : undefined
}

/** A client that sends protobuf reads it, unless it asks for something else. */
export function wantsProtobuf(request: FastifyRequest): boolean {
  const accept = request.headers.accept
  if (accept === undefined || accept === '*/*') return Buffer.isBuffer(request.body)
  return PROTOBUF_TYPES.some((type) => accept.includes(type))
}

export function sendProtobuf(reply: FastifyReply, message: Buffer): FastifyReply {
  return reply.code(200).header('content-type', PROTOBUF_TYPES[0]).send(message)
}
