import type { MessageTypes } from '../../codec/messages.generated.js'
import { decodeMessage, type MessageName } from '../../codec/proto.js'
import { MalformedMessage } from '../../codec/wire.js'
import { feastError } from '../../core/errors.js'

/** A client's message. @throws INVALID_REQUEST when the bytes are none */
export function decodeRequest<Name extends MessageName>(name: Name, bytes: Buffer): MessageTypes[Name] {
  try {
    return decodeMessage(name, bytes)
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    throw feastError('INVALID_REQUEST', { message: `The request is no ${name}: ${error.message}.` }, error)
  }
}
