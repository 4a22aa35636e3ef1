import { type FeastError, isFeastError } from '../../core/errors.js'
import { jsonText } from '../../serving/json-text.js'
import { InvalidShape } from './body-shape.js'
import { JsonSyntaxError } from './json-body.js'

export interface ErrorReply {
  readonly status: number
  /** JSON text. */
  readonly body: string
}

/** The one place where anything thrown becomes an answer. Unknown errors say nothing of themselves. */
export function errorReply(error: unknown): ErrorReply {
  if (isFeastError(error, 'UNAUTHENTICATED')) return { status: error.http, body: detailBody(error.message) }
  if (isFeastError(error)) return { status: error.http, body: feastBody(error) }
  if (error instanceof InvalidShape) return { status: 422, body: error.body }
  if (error instanceof JsonSyntaxError) return { status: 422, body: jsonInvalidBody(error) }
  const status = httpStatusOf(error)
  if (status !== undefined) return { status, body: detailBody((error as Error).message) }
  return { status: 500, body: JSON.stringify('Internal Server Error') }
}

/** Feast's error body: a JSON string that holds JSON, with Python's spacing. */
function feastBody({ feastClass, message }: FeastError): string {
  const detail = `{"module": "feast.errors", "class": ${JSON.stringify(feastClass)}, "message": ${JSON.stringify(message)}}`
  return JSON.stringify(detail)
}

/** FastAPI's body for errors of HTTP itself. */
export function detailBody(detail: string): string {
  return JSON.stringify({ detail })
}

function jsonInvalidBody({ message, position }: JsonSyntaxError): string {
  const loc = ['body', position]
  return jsonText({
    detail: [{ type: 'json_invalid', loc, msg: 'JSON decode error', input: {}, ctx: { error: message } }],
  })
}

/** What fastify itself throws about a request carries its status. */
function httpStatusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error) || !('code' in error)) return undefined
  const { statusCode, code } = error as { statusCode: unknown; code: unknown }
  const isFastify = typeof code === 'string' && code.startsWith('FST_')
  return isFastify && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
    ? statusCode
    : undefined
}
