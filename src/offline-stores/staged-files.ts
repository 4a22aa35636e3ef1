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
import type { ReadStagedOptions, StagedFile } from './offline-store.js'

/** Files that are fetched before they are asked for: one for each view that is read at a time. */
const MAX_AHEAD = 4

/** Parquet files at object store URIs: written by one process, read by others. */
export class StagedFiles {
  readonly #stores = new Map<string, Promise<ObjectStore>>()
  /** By URI: paths on this machine of files that nobody has asked for yet. */
  readonly #coming = new Map<string, Promise<string>>()

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

  /**
   * Fetched first, so that what goes wrong on the way is tried again in one place, not in the middle of rows.
   * @param names of the file's columns; default: those of the fields
   */
  async *read(
    { uri }: StagedFile,
    fields: readonly Field[],
    {
      signal,
      next,
      names = fields.map(({ name }) => name),
    }: ReadStagedOptions & { names?: readonly string[] },
  ): AsyncGenerator<ColumnBatch> {
    const path = await this.#take(uri, signal)
    try {
      if (next !== undefined) this.#fetchAhead(next.uri, signal)
      yield* readParquet(path, fields, names, signal)
    } finally {
      await rm(path, { force: true })
    }
  }

  async drop(prefix: string): Promise<void> {
    await (await this.#at(prefix)).removeAll(prefix)
  }

  async close(): Promise<void> {
    for (const coming of this.#coming.values())
      await coming.then(
        (path) => rm(path),
        () => undefined,
      )
    this.#coming.clear()
    for (const store of this.#stores.values()) await (await store.catch(() => undefined))?.close()
    this.#stores.clear()
  }

  #fetchAhead(uri: string, signal: AbortSignal | undefined): void {
    if (this.#coming.size >= MAX_AHEAD || this.#coming.has(uri)) return
    const coming = this.#fetch(uri, signal)
    coming.catch(() => undefined)
    this.#coming.set(uri, coming)
  }

  /** What went wrong ahead of time may go well now. */
  #take(uri: string, signal: AbortSignal | undefined): Promise<string> {
    const coming = this.#coming.get(uri)
    this.#coming.delete(uri)
    return coming === undefined ? this.#fetch(uri, signal) : coming.catch(() => this.#fetch(uri, signal))
  }

  /** @returns the file's path on this machine */
  async #fetch(uri: string, signal: AbortSignal | undefined): Promise<string> {
    const path = join(tmpdir(), `feast-staged-${randomUUID()}.parquet`)
    await (await this.#at(uri)).download(uri, path, signal)
    return path
  }

  #at(uri: string): Promise<ObjectStore> {
    const scheme = schemeOf(uri)
    const opened = this.#stores.get(scheme) ?? openObjectStore(uri, 'staging', this.aws)
    this.#stores.set(scheme, opened)
    return opened
  }
}
