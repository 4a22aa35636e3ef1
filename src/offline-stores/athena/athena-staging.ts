import { randomBytes } from 'node:crypto'
import type { AwsSettings } from '../../core/aws-settings.js'
import type { Logger } from '../../core/logger.js'
import { openObjectStore } from '../../object-stores/index.js'
import type { ObjectStore } from '../../object-stores/object-store.js'

const TABLE_PREFIX = 'feast_tmp_'
/** What is older belongs to a process that is gone. */
export const LEFT_AFTER_MS = 24 * 3_600_000

/** The folder of S3 that requests use while they run: `<staging>/<project>/`. */
export class AthenaStaging {
  readonly root: string
  #objects: Promise<ObjectStore> | undefined

  constructor(
    location: string,
    project: string,
    private readonly aws: AwsSettings,
    readonly logger: Logger,
  ) {
    this.root = `${location.replace(/\/+$/, '')}/${project}/`
  }

  objects(): Promise<ObjectStore> {
    this.#objects ??= openObjectStore(this.root, 'offline_store.s3_staging_location', this.aws)
    return this.#objects
  }

  /** A folder of its own for one request; its name tells when it was made. */
  newRequest(): string {
    return `${this.root}requests/${stamp()}/`
  }

  /** The lines of an object; none when there is none. */
  async lines(uri: string): Promise<readonly string[]> {
    const found = await (await this.objects()).read(uri)
    return (found?.bytes.toString('utf8') ?? '').split(/\r?\n/).filter((line) => line !== '')
  }

  async removeAll(prefix: string): Promise<void> {
    await (await this.objects()).removeAll(prefix)
  }

  async close(): Promise<void> {
    await (await this.#objects?.catch(() => undefined))?.close()
    this.#objects = undefined
  }
}

/** A table for one request; its name tells when it was made. */
export function scratchTable(): string {
  return `${TABLE_PREFIX}${stamp()}`
}

export const SCRATCH_TABLES = `^${TABLE_PREFIX}[0-9a-z]+_[0-9a-f]+$`

function stamp(): string {
  return `${Date.now().toString(36)}_${randomBytes(8).toString('hex')}`
}

/** Milliseconds since 1970 that a name made by {@link stamp} tells; undefined for other names. */
export function madeAt(name: string): number | undefined {
  const time = /(?:^|_)([0-9a-z]{8,9})_[0-9a-f]{16}$/.exec(name)?.[1]
  return time === undefined ? undefined : Number.parseInt(time, 36)
}
