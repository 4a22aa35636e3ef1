import type { AwsSettings } from '../../core/aws-settings.js'
import type { Logger } from '../../core/logger.js'
import { openObjectStore } from '../../object-stores/index.js'
import type { ObjectStore } from '../../object-stores/object-store.js'
import { keptName } from '../sql/kept-table.js'
import type { TablePlace } from '../sql/sql-warehouse.js'
import { stamp } from '../sql/stamped-name.js'

const TABLE_PREFIX = 'feast_tmp_'
const KEPT = 'tables/'

/** The folder of S3 for what requests need while they run, and for results kept as tables: `<staging>/<project>/`. */
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

  /** Where the files of a table that results are kept in lie. */
  kept({ schema, name }: TablePlace): string {
    return `${this.root}${KEPT}${schema}/${name}/`
  }

  /** The tables that have such a folder: of all databases, or one place's. */
  async *keptTables(place?: TablePlace): AsyncGenerator<TablePlace> {
    const root = `${this.root}${KEPT}`
    const seen = new Set<string>()
    const prefix = place === undefined ? root : `${root}${place.schema}/${keptName(place.name)}`
    for await (const { uri } of (await this.objects()).list(prefix)) {
      const [schema, name] = uri.slice(root.length).split('/')
      if (schema === undefined || name === undefined || seen.has(`${schema}/${name}`)) continue
      seen.add(`${schema}/${name}`)
      yield { schema, name }
    }
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
