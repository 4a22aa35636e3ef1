import { redisField } from '../../codec/field-hash.js'
import { type EncodedRow, PackedRow } from '../../codec/rows.js'
import type { OnlineTable } from '../online-store.js'
import { HashDump } from './hash-dump.js'
import { inChunks } from './in-chunks.js'
import type { RedisClient } from './redis-client.js'
import { codeOf, replyError } from './redis-failure.js'
import { ErrorReply, type Reply } from './resp.js'
import {
  KEEP_EXPIRY,
  newHashCommander,
  plainCommander,
  type RowCommander,
  type RowCommands,
  type RowTarget,
  scriptCommander,
  withScriptText,
} from './row-commands.js'
import { timestampField } from './row-reader.js'
import { WRITE_NEWEST } from './scripts.js'

export interface RowWriterOptions {
  readonly client: RedisClient
  /** Host and port, for messages. */
  readonly describe: string
  readonly project: string
  readonly timeoutMs: number
  /** 0: entities do not expire; {@link KEEP_EXPIRY}. */
  readonly ttlSeconds: number
  /** Without a look at what is stored. */
  readonly skipDedup: boolean
}

/** One script call keeps Redis busy for about a millisecond; meanwhile it answers nobody else. */
const CELLS_PER_CHUNK = 1000
const ROWS_PER_CHUNK = 200
const CHUNKS_IN_FLIGHT = 8

/** Below this share of entities that Redis does not have, asking costs more than it saves. */
const WORTH_ASKING = 0.25

/** Writes rows of one table, many at a time. */
export class RowWriter {
  readonly #options: RowWriterOptions
  readonly #target: RowTarget
  readonly #chunkRows: number

  constructor(table: OnlineTable, options: RowWriterOptions) {
    this.#options = options
    this.#target = {
      timestamp: timestampField(table.name),
      features: table.features.map((feature) => redisField(table.name, feature)),
      suffix: Buffer.from(options.project),
      ttlSeconds: options.ttlSeconds,
      isSharded: options.client.router.isSharded,
    }
    this.#chunkRows = Math.min(ROWS_PER_CHUNK, Math.ceil(CELLS_PER_CHUNK / (table.features.length + 1)))
  }

  async write(given: readonly EncodedRow[]): Promise<void> {
    const { skipDedup, ttlSeconds } = this.#options
    const rows = (skipDedup ? lastOfEachKey(given) : given).map(PackedRow.of)
    if (skipDedup) return this.#writeAll(rows, plainCommander(this.#target))
    const ifNewer = scriptCommander(WRITE_NEWEST, this.#target)
    if (rows.length <= this.#chunkRows || ttlSeconds === KEEP_EXPIRY) return this.#writeAll(rows, ifNewer)
    return this.#writeMany(rows, ifNewer)
  }

  /** Rows of entities that may be new to Redis; the first ones tell whether most are. */
  async #writeMany(rows: readonly PackedRow[], ifNewer: RowCommander): Promise<void> {
    const { timestamp, features } = this.#target
    const dump = new HashDump([timestamp, ...features])
    const ifNew = newHashCommander(this.#target, dump)
    const write = async (some: readonly PackedRow[]) => {
      const left = await this.#writeNew(some, dump, ifNew)
      if (left.length > 0) await this.#run(ifNewer(left))
      return some.length - left.length
    }
    const first = rows.slice(0, this.#chunkRows)
    const rest = rows.slice(this.#chunkRows)
    if ((await write(first)) < WORTH_ASKING * first.length) return this.#writeAll(rest, ifNewer)
    await this.#inChunks(rest, write)
  }

  #writeAll(rows: readonly PackedRow[], commander: RowCommander): Promise<void> {
    return this.#inChunks(rows, (some) => this.#run(commander(some)))
  }

  #inChunks(
    rows: readonly PackedRow[],
    write: (some: readonly PackedRow[]) => Promise<unknown>,
  ): Promise<void> {
    return inChunks(rows.length, this.#chunkRows, CHUNKS_IN_FLIGHT, async (start, end) => {
      await write(rows.slice(start, end))
    })
  }

  /** @returns rows that are still to be written: Redis has their entities, or does not take hashes as they are */
  async #writeNew(
    rows: readonly PackedRow[],
    dump: HashDump,
    commander: RowCommander,
  ): Promise<readonly PackedRow[]> {
    const fitting = rows.filter((row) => dump.fits(row))
    if (fitting.length === 0) return rows
    const replies = await this.#send(commander(fitting))
    const written = new Set(fitting.filter((_, index) => !(replies[index] instanceof ErrorReply)))
    return written.size === rows.length ? [] : rows.filter((row) => !written.has(row))
  }

  async #run(sent: RowCommands): Promise<void> {
    const replies = await this.#send(sent)
    const unknown = sent.commands.filter((_, index) => this.#isUnknownScript(replies[index]!))
    if (unknown.length === 0) return
    const again = await this.#send(withScriptText(WRITE_NEWEST, sent.payload, unknown))
    for (const reply of again) this.#refuse(reply)
  }

  #isUnknownScript(reply: Reply): boolean {
    if (reply instanceof ErrorReply && codeOf(reply) === 'NOSCRIPT') return true
    this.#refuse(reply)
    return false
  }

  #refuse(reply: Reply): void {
    if (reply instanceof ErrorReply) throw replyError(this.#options.describe, reply)
  }

  #send({ payload, commands }: RowCommands): Promise<readonly Reply[]> {
    const { client, timeoutMs } = this.#options
    return client.run({
      keys: commands.map(({ key }) => key),
      channel: 'write',
      timeoutMs,
      encode: (indexes) =>
        indexes.length === commands.length
          ? payload
          : Buffer.concat(
              indexes.map((index) => payload.subarray(commands[index]!.start, commands[index]!.end)),
            ),
    })
  }
}

/** Without a look at times the last row of a key stands; chunks that are sent again may come in another order. */
function lastOfEachKey(rows: readonly EncodedRow[]): readonly EncodedRow[] {
  const last = new Map(rows.map((row) => [row.entityKey.toString('latin1'), row]))
  return last.size === rows.length ? rows : [...last.values()]
}
