import type { EntityKeyVersion } from '../../codec/entity-key.js'
import { redisField } from '../../codec/field-hash.js'
import type { EncodedRow } from '../../codec/rows.js'
import type { Logger } from '../../core/logger.js'
import type {
  InfraObject,
  OnlineReader,
  OnlineStore,
  OnlineTable,
  OnlineWriteBatch,
  ReadShape,
  TeardownReach,
  VectorStore,
} from '../online-store.js'
import { deleteProjectKeys, deleteViews } from './delete-views.js'
import { eachOwnKeys } from './each-own-keys.js'
import { inChunks } from './in-chunks.js'
import type { RedisClient } from './redis-client.js'
import { codeOf, replyError } from './redis-failure.js'
import { ErrorReply } from './resp.js'
import {
  KEEP_EXPIRY,
  plainCommands,
  type RowCommands,
  type RowFields,
  scriptCommands,
  withScriptText,
} from './row-commands.js'
import { rowReader, timestampField } from './row-reader.js'
import { WRITE_NEWEST } from './scripts.js'

export interface RedisOnlineStoreOptions {
  readonly client: RedisClient
  /** Host and port, for messages. */
  readonly describe: string
  readonly project: string
  readonly entityKeyVersion: EntityKeyVersion
  /** 0: entities do not expire. */
  readonly ttlSeconds: number
  readonly skipDedup: boolean
  readonly fullScanForDeletion: boolean
  readonly readTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly logger: Logger
}

type WriteOptions = Pick<RedisOnlineStoreOptions, 'skipDedup' | 'ttlSeconds'>

/** One script call keeps Redis busy for about a millisecond; meanwhile it answers nobody else. */
const CELLS_PER_CHUNK = 1000
const ROWS_PER_CHUNK = 200
const CHUNKS_IN_FLIGHT = 8

/** Feast's Redis hashes: one per entity and project, for all views with the same join keys. */
export class RedisOnlineStore implements OnlineStore {
  readonly #options: RedisOnlineStoreOptions
  readonly #client: RedisClient
  readonly vectors: VectorStore

  constructor(options: RedisOnlineStoreOptions) {
    this.#options = options
    this.#client = options.client
    const suffixBytes = Buffer.byteLength(options.project)
    this.vectors = {
      eachKey: (joinKeys, visit) =>
        eachOwnKeys(joinKeys, options, (keys) =>
          visit(keys.map((key) => key.subarray(0, key.length - suffixBytes))),
        ),
      write: (batch) => this.#write(batch, { skipDedup: false, ttlSeconds: KEEP_EXPIRY }),
    }
  }

  prepareRead(shape: ReadShape): OnlineReader {
    const { client, describe, project, readTimeoutMs: timeoutMs } = this.#options
    return rowReader(shape, { client, describe, project, timeoutMs })
  }

  write(batch: OnlineWriteBatch): Promise<void> {
    return this.#write(batch, this.#options)
  }

  async #write({ table, rows }: OnlineWriteBatch, how: WriteOptions): Promise<void> {
    const fields: RowFields = {
      timestamp: timestampField(table.name),
      features: table.features.map((feature) => redisField(table.name, feature)),
    }
    const wanted = how.skipDedup ? lastOfEachKey(rows) : rows
    const size = Math.min(ROWS_PER_CHUNK, Math.ceil(CELLS_PER_CHUNK / (table.features.length + 1)))
    await inChunks(wanted.length, size, CHUNKS_IN_FLIGHT, (start, end) =>
      this.#writeChunk(fields, wanted.slice(start, end), how),
    )
  }

  async setup(): Promise<void> {}

  async teardown(tables: readonly OnlineTable[], reach: TeardownReach = 'tables'): Promise<void> {
    const { fullScanForDeletion, logger } = this.#options
    if (reach === 'project') return deleteProjectKeys(tables, this.#options)
    if (fullScanForDeletion) return deleteViews(tables, this.#options)
    const views = tables.map(({ name }) => name)
    logger.warn(
      { views },
      'online_store.full_scan_for_deletion is false: the rows of these views stay in Redis',
    )
  }

  infra(): readonly InfraObject[] {
    return []
  }

  async close(): Promise<void> {
    this.#client.close()
  }

  async #writeChunk(
    fields: RowFields,
    rows: readonly EncodedRow[],
    { skipDedup, ttlSeconds }: WriteOptions,
  ): Promise<void> {
    const suffix = Buffer.from(this.#options.project)
    const keys = rows.map(({ entityKey }) => Buffer.concat([entityKey, suffix]))
    const { isSharded } = this.#client.router
    const commands = skipDedup
      ? plainCommands(fields, rows, keys, ttlSeconds)
      : scriptCommands(WRITE_NEWEST, fields, rows, keys, ttlSeconds, isSharded)
    const unknown = await this.#run(
      commands,
      commands.commands.map((_, index) => index),
      false,
    )
    if (unknown.length > 0) await this.#run(commands, unknown, true)
  }

  /** The commands whose script the server does not know. */
  async #run(
    { payload, commands }: RowCommands,
    places: readonly number[],
    withText: boolean,
  ): Promise<readonly number[]> {
    const isAll = places.length === commands.length
    const replies = await this.#client.run({
      keys: isAll ? commands.map(({ key }) => key) : places.map((place) => commands[place]!.key),
      channel: 'write',
      timeoutMs: this.#options.writeTimeoutMs,
      encode(indexes) {
        if (isAll && !withText && indexes.length === commands.length) return payload
        return Buffer.concat(
          indexes.map((index) => {
            const command = commands[places[index]!]!
            if (withText) return withScriptText(WRITE_NEWEST, payload, command)
            return payload.subarray(command.start, command.end)
          }),
        )
      },
    })
    return places.filter((_, index) => {
      const reply = replies[index]
      if (!(reply instanceof ErrorReply)) return false
      if (codeOf(reply) === 'NOSCRIPT' && !withText) return true
      throw replyError(this.#options.describe, reply)
    })
  }
}

/** Without a look at times the last row of a key stands; chunks that are sent again may come in another order. */
function lastOfEachKey(rows: readonly EncodedRow[]): readonly EncodedRow[] {
  const last = new Map(rows.map((row) => [row.entityKey.toString('latin1'), row]))
  return last.size === rows.length ? rows : [...last.values()]
}
