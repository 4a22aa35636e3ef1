/** What clients call a protobuf message. */
export const PROTOBUF_TYPES = ['application/x-protobuf', 'application/protobuf'] as const

/** A client that sends protobuf reads it, unless it asks for something else. @param body a Buffer: it sent one */
export function wantsProtobuf(accept: string | undefined, body: unknown): boolean {
  if (accept === undefined || accept === '*/*') return Buffer.isBuffer(body)
  return PROTOBUF_TYPES.some((type) => accept.includes(type))
}
