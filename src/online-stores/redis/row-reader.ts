import assert from 'node:assert'
import { redisField } from '../../codec/field-hash.js'
import { rowOfCells } from '../online-row.js'
import type { OnlineReader, OnlineRow, ReadShape } from '../online-store.js'
import { inChunks } from './in-chunks.js'
import type { RedisClient } from './redis-client.js'
import { replyError } from './redis-failure.js'
import { ErrorReply, encodeBulk, RowReply } from './resp.js'

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
 * Rows lie in what the socket received (a megabyte): whoever keeps one keeps all of it, so copy what is to outlive
 * the request.
 */
export function rowReader(shape: ReadShape, options: RowReaderOptions): OnlineReader {
  const { client, timeoutMs } = options
  const fields = fieldsOf(shape)
  if (fields.length === 0) return { read: async (keys) => keys.map(() => rowOfCells([])) }
  const head = Buffer.from(`*${fields.length + 2}\r\n$5\r\nHMGET\r\n$`)
  const tail = Buffer.concat([Buffer.from(options.project), LINE_END, ...fields.map(encodeBulk)])
  const suffixBytes = Buffer.byteLength(options.project)

  async function readSome(keys: readonly Buffer[]): Promise<readonly OnlineRow[]> {
    if (keys.length === 0) return []
    const encode = (indexes: readonly number[]) => encodeReads(keys, indexes, head, tail, suffixBytes)
    const routed = client.router.isSharded ? keys.map((key) => withSuffix(key, options.project)) : keys
    const rowCells = fields.length
    const replies = await client.run({ keys: routed, encode, channel: 'read', timeoutMs, rowCells })
    for (const reply of replies) {
      if (reply instanceof ErrorReply) throw replyError(options.describe, reply)
      assert(reply instanceof RowReply, 'the connection lets no other reply pass')
    }
    return replies as RowReply[]
  }

  async function readAll(keys: readonly Buffer[]): Promise<readonly OnlineRow[]> {
    const lists: (readonly OnlineRow[])[] = []
    await inChunks(keys.length, keysPerChunk, CHUNKS_IN_FLIGHT, async (start, end) => {
      lists[start / keysPerChunk] = await readSome(keys.slice(start, end))
    })
    return lists.flat()
  }

  const keysPerChunk = Math.max(1, Math.floor(FIELDS_PER_CHUNK / fields.length))
  return {
    read: (keys) => (keys.length <= keysPerChunk ? readSome(keys) : readAll(keys)),
  }
}

const LINE_END = Buffer.from('\r\n')

function withSuffix(key: Buffer, project: string): Buffer {
  return Buffer.concat([key, Buffer.from(project)])
}

/** One per cell of a row. */
function fieldsOf({ features, views }: ReadShape): readonly Buffer[] {
  return [
    ...features.map(({ view, feature }) => redisField(view, feature)),
    ...views.map((view) => timestampField(view)),
  ]
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
