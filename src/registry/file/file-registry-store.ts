import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeRegistryFile, encodeRegistryFile } from '../../codec/registry-file.js'
import { MalformedMessage } from '../../codec/wire.js'
import type { RegistryChange, RegistryRecord } from '../../core/definition.js'
import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import { nowMicros } from '../../core/instant.js'
import type { ObjectStore, StoredObject } from '../../object-stores/object-store.js'
import { type CompanionObjects, objectsBelow } from '../companion-objects.js'
import type { RegistryContents, RegistryStore } from '../registry-store.js'

/** Python Feast truncates the file and writes it anew: for that long a damaged one is looked at again. */
const RETRIES = 8
const RETRY_MS = 25

/** Feast's registry file, at any URI of an object store. */
export class FileRegistryStore implements RegistryStore {
  readonly location: string
  readonly companions: CompanionObjects
  readonly #objects: ObjectStore
  /** What was read or written last: the bytes that changes are mostly made against. */
  #last: StoredObject | undefined

  constructor(objects: ObjectStore, uri: string) {
    this.#objects = objects
    this.location = uri
    this.companions = objectsBelow(objects, `${uri}.`)
  }

  async read(): Promise<RegistryContents> {
    for (let attempt = 0; ; attempt++) {
      const found = await this.#readBytes()
      if (!found) throw feastError('REGISTRY_NOT_FOUND', { path: this.location })
      const records = recordsOrProblem(found.bytes)
      if (typeof records !== 'string') {
        this.#last = found
        return { version: found.version, records }
      }
      if (attempt >= RETRIES) throw this.#unreadable(records)
      await sleep(RETRY_MS)
    }
  }

  async changedSince(version: string): Promise<boolean> {
    return (await this.#readable(() => this.#objects.version(this.location))) !== version
  }

  async write(changes: readonly RegistryChange[], ifVersion: string | undefined): Promise<string> {
    const previous = ifVersion === undefined ? undefined : await this.#bytesAt(ifVersion)
    const stamp = { versionId: randomUUID(), now: nowMicros() }
    const bytes = Buffer.from(encodeRegistryFile(previous, changes, stamp))
    try {
      const version = await this.#objects.write(this.location, bytes, ifVersion)
      this.#last = { bytes, version }
      return version
    } catch (error) {
      throw this.#writeError(error)
    }
  }

  async destroy(ifVersion: string): Promise<void> {
    this.#last = undefined
    try {
      await this.#objects.remove(this.location, ifVersion)
    } catch (error) {
      throw this.#writeError(error)
    }
  }

  async close(): Promise<void> {
    this.#last = undefined
    await this.#objects.close()
  }

  async #bytesAt(version: string): Promise<Buffer> {
    if (this.#last?.version !== version) this.#last = await this.#readBytes()
    if (this.#last?.version !== version) throw feastError('REGISTRY_CONFLICT', { path: this.location })
    return this.#last.bytes
  }

  #readBytes(): Promise<StoredObject | undefined> {
    return this.#readable(() => this.#objects.read(this.location))
  }

  async #readable<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      throw isFeastError(error) ? error : this.#unreadable(messageOf(error), error)
    }
  }

  #unreadable(why: string, cause?: unknown): Error {
    return feastError('REGISTRY_UNREADABLE', { path: this.location, why }, cause)
  }

  #writeError(error: unknown): Error {
    const path = this.location
    if (isFeastError(error, 'OBJECT_CONFLICT')) return feastError('REGISTRY_CONFLICT', { path }, error)
    if (isFeastError(error, 'OBJECT_LOCKED')) {
      return feastError('REGISTRY_LOCKED', { path, ...(error.details as { holder: string }) }, error)
    }
    if (isFeastError(error)) return error
    return feastError('REGISTRY_WRITE_FAILED', { path, why: messageOf(error) }, error)
  }
}

/** The records, or what is wrong with the file. */
function recordsOrProblem(bytes: Buffer): readonly RegistryRecord[] | string {
  if (bytes.length === 0) return 'it is empty (0 bytes)'
  try {
    return decodeRegistryFile(bytes).records
  } catch (error) {
    if (error instanceof MalformedMessage) return error.message
    throw error
  }
}
