import { ERROR_CODE_KEY, encodeGrpcMessage, GRPC_STATUS, type GrpcStatusName } from '../../codec/grpc-wire.js'
import { type FeastError, isFeastError } from '../../core/errors.js'

/** The end of a call that failed. */
export interface WireStatus {
  readonly name: GrpcStatusName
  /** grpc-status, grpc-message, … */
  readonly headers: Record<string, string>
}

export function wireStatus(name: GrpcStatusName, message: string): WireStatus {
  const headers = { 'grpc-status': String(GRPC_STATUS[name]), 'grpc-message': encodeGrpcMessage(message) }
  return { name, headers }
}

const UNFORESEEN = wireStatus('INTERNAL', 'Internal Server Error')

/**
 * The one place where anything thrown becomes a status. A FeastError's message is Feast's JSON of class and text,
 * from which a Python client raises the class; its code stands beside it, for clients that branch on that. Unknown
 * errors say nothing of themselves.
 */
export function statusOf(error: unknown): WireStatus {
  if (!isFeastError(error)) return UNFORESEEN
  const { name, headers } = wireStatus(error.grpc, feastDetail(error))
  return { name, headers: { ...headers, [ERROR_CODE_KEY]: error.code } }
}

/** Clients refuse trailers of more than 8 KiB. */
const MAX_DETAIL_CHARS = 4000

function feastDetail({ feastClass, message }: FeastError): string {
  let text = message
  for (;;) {
    const detail = `{"module": "feast.errors", "class": ${asciiJson(feastClass)}, "message": ${asciiJson(text)}}`
    if (detail.length <= MAX_DETAIL_CHARS) return detail
    const length = Math.floor((text.length * MAX_DETAIL_CHARS) / detail.length) - 2
    text = `${text.slice(0, length)}…`
  }
}

/** As Python writes it: whatever is not ASCII is escaped. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
