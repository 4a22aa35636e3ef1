import type { EntityKeyVersion } from '../../codec/entity-key.js'
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
import type { RedisClient } from './redis-client.js'
import { KEEP_EXPIRY } from './row-commands.js'
import { rowReader } from './row-reader.js'
import { RowWriter } from './row-writer.js'

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

  #write(
    { table, rows }: OnlineWriteBatch,
    how: Pick<RedisOnlineStoreOptions, 'skipDedup' | 'ttlSeconds'>,
  ): Promise<void> {
    const { client, describe, project, writeTimeoutMs: timeoutMs } = this.#options
    return new RowWriter(table, { client, describe, project, timeoutMs, ...how }).write(rows)
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
}
