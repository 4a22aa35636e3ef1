import { randomUUID } from 'node:crypto'
import { rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AwsSettings } from '../core/aws-settings.js'
import type { ColumnBatch } from '../core/cell.js'
import type { Field } from '../core/field.js'
import { openObjectStore, schemeOf } from '../object-stores/index.js'
import type { ObjectStore } from '../object-stores/object-store.js'
import { readParquet } from './index.js'
import type { StagedFile } from './offline-store.js'

/** Parquet files at object store URIs: written by one process, read by others. */
export class StagedFiles {
  readonly #stores = new Map<string, Promise<ObjectStore>>()

  constructor(private readonly aws: AwsSettings | undefined) {}

  /** Moves a file that `write` makes on this machine to a URI; undefined if it has no rows. */
  async put(
    uri: string,
    write: (path: string) => Promise<{ readonly rows: number }>,
    signal: AbortSignal | undefined,
  ): Promise<StagedFile | undefined> {
    const path = join(tmpdir(), `feast-staged-${randomUUID()}.parquet`)
    try {
      const { rows } = await write(path)
      if (rows === 0) return undefined
      const { size: bytes } = await stat(path)
      await (await this.#at(uri)).upload(path, uri, signal)
      return { uri, bytes, rows }
    } finally {
      await rm(path, { force: true })
    }
  }

  /** Fetched first, so that what goes wrong on the way is tried again in one place, not in the middle of rows. */
  async *read(
    { uri }: StagedFile,
    fields: readonly Field[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ColumnBatch> {
    const path = join(tmpdir(), `feast-staged-${randomUUID()}.parquet`)
    try {
      await (await this.#at(uri)).download(uri, path, signal)
      yield* readParquet(path, fields, signal)
    } finally {
      await rm(path, { force: true })
    }
  }

  async drop(prefix: string): Promise<void> {
    await (await this.#at(prefix)).removeAll(prefix)
  }

  async close(): Promise<void> {
    for (const store of this.#stores.values()) await (await store.catch(() => undefined))?.close()
    this.#stores.clear()
  }

  #at(uri: string): Promise<ObjectStore> {
    const scheme = schemeOf(uri)
    const opened = this.#stores.get(scheme) ?? openObjectStore(uri, 'staging', this.aws)
    this.#stores.set(scheme, opened)
    return opened
  }
}
