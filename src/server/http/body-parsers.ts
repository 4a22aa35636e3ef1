import { isUtf8 } from 'node:buffer'
import { parseLookupBody } from './json-body.js'
import { PROTOBUF_TYPES } from './protobuf-body.js'

export type BodyParser = (body: Buffer) => unknown

/** By content type; bodies of any other are JSON as well, whatever they are called: `curl -d` calls them a form. */
export const BODY_PARSERS: ReadonlyMap<string, BodyParser> = new Map([
  ['application/json', parseBody],
  ...PROTOBUF_TYPES.map((type): [string, BodyParser] => [type, (body) => body]),
])

export function parseBody(body: Buffer): unknown {
  if (body.length === 0) return undefined
  if (!isUtf8(body)) throw new NotUtf8()
  return parseLookupBody(body.toString('utf8'))
}

class NotUtf8 extends Error {
  readonly code = 'FST_NOT_UTF8'
  readonly statusCode = 400
  constructor() {
    super('There was an error parsing the body')
  }
}
