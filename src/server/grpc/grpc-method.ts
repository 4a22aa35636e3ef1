import type { GrpcCall } from './grpc-call.js'

/** A method under its full path, `/package.Service/Method`. Handlers throw what the call fails with. */
export type GrpcMethod = UnaryMethod | WatchMethod | DialogueMethod

interface Named {
  readonly path: string
  /** Answers without a token as well. */
  readonly isOpen?: true
}

/** One message, one answer: both are serialized messages. */
export interface UnaryMethod extends Named {
  readonly kind: 'unary'
  /** A lookup or a write: turned away when too many of them are under way. */
  readonly isBounded: boolean
  answer(message: Buffer, call: GrpcCall): Promise<Buffer>
}

/** One message, then answers with `call.send` until `call.finish`, or until the client goes. */
export interface WatchMethod extends Named {
  readonly kind: 'watch'
  open(message: Buffer, call: GrpcCall): Promise<void>
}

/** An answer to each of many messages. */
export interface DialogueMethod extends Named {
  readonly kind: 'dialogue'
  reply(message: Buffer): Buffer
}
