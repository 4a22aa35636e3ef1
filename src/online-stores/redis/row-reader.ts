import { redisField } from '../../codec/field-hash.js'
import { feastError } from '../../core/errors.js'
import type { OnlineReader, OnlineRow, ReadShape } from '../online-store.js'
import { inChunks } from './in-chunks.js'
import type { RedisClient } from './redis-client.js'
import { replyError } from './redis-failure.js'
import { ErrorReply, encodeBulk, type Reply } from './resp.js'

/** Fields asked for at a time: some 1 MB of request, and answers that leave room for others in between. */
const FIELDS_PER_CHUNK = 100_000
const CHUNKS_IN_FLIGHT = 4

export interface RowReaderOptions {
  readonly client: RedisClient
  readonly project: string
  readonly timeoutMs: number
  readonly describe: string
}

/**
 * One `HMGET` per entity for all views of the shape. Everything of the command but the key is encoded here, once.
 *
 * Cells are slices of what the socket received (up to 64 KB): whoever keeps one keeps all of it, so copy what is to
 * outlive the request.
 */
export function rowReader(shape: ReadShape, options: RowReaderOptions): OnlineReader {
  const { client, timeoutMs } = options
  const { fields, cellOf } = fieldsOf(shape)
  if (fields.length === 0) return { read: async (keys) => keys.map(() => []) }
  const head = Buffer.from(`*${fields.length + 2}\r\n$5\r\nHMGET\r\n$`)
  const tail = Buffer.concat([Buffer.from(options.project), LINE_END, ...fields.map(encodeBulk)])
  const suffixBytes = Buffer.byteLength(options.project)
  const cells = shape.features.length + shape.views.length
  const isPlain = cells === fields.length

  function rowOf(reply: Reply): OnlineRow {
    if (reply instanceof ErrorReply) throw replyError(options.describe, reply)
    if (!Array.isArray(reply) || reply.length !== fields.length) throw misanswered(options.describe)
    return isPlain ? (reply as OnlineRow) : cellOf.map((cell) => reply[cell] as Buffer | null)
  }

  async function readSome(keys: readonly Buffer[]): Promise<readonly OnlineRow[]> {
    const encode = (indexes: readonly number[]) => encodeReads(keys, indexes, head, tail, suffixBytes)
    const routed = client.router.isSharded ? keys.map((key) => withSuffix(key, options.project)) : keys
    const replies = await client.run({ keys: routed, encode, channel: 'read', timeoutMs })
    for (let i = 0; i < replies.length; i++) replies[i] = rowOf(replies[i]!) as Reply
    return replies as unknown as readonly OnlineRow[]
  }

  const keysPerChunk = Math.max(1, Math.floor(FIELDS_PER_CHUNK / fields.length))
  return {
    async read(keys) {
      if (keys.length === 0) return []
      if (keys.length <= keysPerChunk) return readSome(keys)
      const lists: (readonly OnlineRow[])[] = []
      await inChunks(keys.length, keysPerChunk, CHUNKS_IN_FLIGHT, async (start, end) => {
        lists[start / keysPerChunk] = await readSome(keys.slice(start, end))
      })
      return lists.flat()
    },
  }
}

const LINE_END = Buffer.from('\r\n')

function withSuffix(key: Buffer, project: string): Buffer {
  return Buffer.concat([key, Buffer.from(project)])
}

/** Distinct fields, and for every cell of a row the place of its field. */
function fieldsOf({ features, views }: ReadShape): {
  readonly fields: readonly Buffer[]
  readonly cellOf: readonly number[]
} {
  const fields: Buffer[] = []
  const placeOf = new Map<string, number>()
  const wanted = [
    ...features.map(({ view, feature }) => redisField(view, feature)),
    ...views.map((view) => timestampField(view)),
  ]
  const cellOf = wanted.map((field) => {
    const name = field.toString('latin1')
    const known = placeOf.get(name)
    if (known !== undefined) return known
    placeOf.set(name, fields.length)
    return fields.push(field) - 1
  })
  return { fields, cellOf }
}

export function timestampField(view: string): Buffer {
  return Buffer.from(`_ts:${view}`)
}

function encodeReads(
  keys: readonly Buffer[],
  indexes: readonly number[],
  head: Buffer,
  tail: Buffer,
  suffixBytes: number,
): Buffer {
  let size = 0
  for (const index of indexes) size += head.length + keys[index]!.length + tail.length + 12
  const out = Buffer.allocUnsafe(size)
  let at = 0
  for (const index of indexes) {
    const key = keys[index]!
    at += head.copy(out, at)
    at += out.write(`${key.length + suffixBytes}\r\n`, at, 'latin1')
    at += key.copy(out, at)
    at += tail.copy(out, at)
  }
  return out.subarray(0, at)
}

function misanswered(node: string): Error {
  return feastError('ONLINE_STORE_FAILED', {
    store: `Redis at ${node}`,
    why: 'its answer to HMGET has not one value per field',
  })
}
