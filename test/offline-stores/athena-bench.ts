import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type AthenaSource, athenaSource } from '../../src/core/data-source.js'
import { silentLogger } from '../../src/core/logger.js'
import type { FeastType } from '../../src/core/value-type.js'
import { openOfflineStore } from '../../src/offline-stores/index.js'
import type { OfflineStore } from '../../src/offline-stores/offline-store.js'
import { EmulatedAthena, type EmulatedAthenaOptions } from '../aws-emulator/athena/athena.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import type { Row } from './oracle.js'
import { type TableColumn, TableMaker } from './table-maker.js'

Object.assign(process.env, EMULATOR_CREDENTIALS)

/** An Athena store over emulated S3 and Athena, and a way to give it tables. */
export class AthenaBench {
  readonly folder: string
  readonly s3: EmulatedS3
  readonly athena: EmulatedAthena
  readonly emulator: AwsEmulator
  store!: OfflineStore
  tables!: TableMaker
  #count = 0

  /** @param parent of the folder that S3 is in */
  constructor(emulated: Partial<EmulatedAthenaOptions> = {}, parent = tmpdir()) {
    this.folder = mkdtempSync(join(parent, 'athena-bench-'))
    this.s3 = new EmulatedS3(this.folder, { buckets: ['lake', 'staging'] })
    this.athena = new EmulatedAthena({
      pathOf: (uri) => this.s3.pathOf(uri),
      databases: ['feast', 'scratch', 'other'],
      workgroups: { feast: {} },
      callRates: {
        StartQueryExecution: { perSecond: 1000, burst: 1000 },
        GetQueryExecution: { perSecond: 1000, burst: 1000 },
      },
      ...emulated,
    })
    this.emulator = new AwsEmulator([this.athena, this.s3])
  }

  async open(options: Readonly<Record<string, unknown>> = {}): Promise<this> {
    await this.emulator.start()
    this.tables = await TableMaker.open()
    this.store = await this.another(options)
    return this
  }

  /** Another store over the same emulators, as another process has it. */
  another(options: Readonly<Record<string, unknown>> = {}): Promise<OfflineStore> {
    const block = { ...this.block, ...options }
    const context = {
      project: 'test',
      repoPath: this.folder,
      entityKeyVersion: 3 as const,
      logger: silentLogger,
      aws: this.emulator.settings,
    }
    return openOfflineStore({ type: 'athena', options: block }, context)
  }

  get block(): Readonly<Record<string, unknown>> {
    return {
      data_source: 'AwsDataCatalog',
      region: 'us-east-1',
      database: 'feast',
      workgroup: 'feast',
      s3_staging_location: 's3://staging/feast/',
      scratch_database: 'scratch',
    }
  }

  /** A table of the catalog with these rows; times to the microsecond need Iceberg. */
  async table(
    columns: readonly TableColumn[],
    rows: readonly Row[],
    options: {
      readonly iceberg?: boolean
      readonly partition?: string
      readonly name?: string
      readonly properties?: Readonly<Record<string, string>>
      readonly source?: Partial<Parameters<typeof athenaSource>[0]>
      readonly files?: number
    } = {},
  ): Promise<AthenaSource> {
    const { iceberg = false, partition, name = `t${this.#count++}` } = options
    const location = `s3://lake/${name}/`
    const stored = columns
      .filter((column) => column.name !== partition)
      .map((column) => ({ ...column, storedAs: column.storedAs ?? storedAs(column.type, iceberg) }))
    const days =
      partition === undefined ? [undefined] : [...new Set(rows.map((row) => row[partition] as string))]
    const table = this.athena.catalog.create({
      database: 'feast',
      name,
      columns: stored.map((column) => ({ name: column.name, type: hiveText(column) })),
      partitionKeys: partition === undefined ? [] : [{ name: partition, type: 'string' }],
      location,
      properties: { ...(iceberg && { table_type: 'ICEBERG' }), ...options.properties },
    })
    const files = options.files ?? 1
    for (const day of days) {
      const own = day === undefined ? rows : rows.filter((row) => row[partition!] === day)
      const folder = day === undefined ? location : `${location}${partition}=${day}/`
      for (let file = 0; file < files; file++) {
        const some = own.filter((_, index) => index % files === file)
        await this.file(stored, some, `${folder}${randomUUID()}.parquet`)
      }
      if (day !== undefined) this.athena.catalog.addPartition(table, [day])
    }
    return athenaSource({ table: name, timestampField: 'ts', ...options.source })
  }

  file(columns: readonly TableColumn[], rows: readonly Row[], uri: string): Promise<string> {
    return this.tables.file(columns, rows, { path: relative(this.tables.folder, this.s3.pathOf(uri)) })
  }

  /** Names of the objects below a prefix, in folders that the test takes. */
  objects(prefix: string, isMeant = (_folder: string) => true): readonly string[] {
    try {
      const found = readdirSync(this.s3.pathOf(prefix.replace(/\/+$/, '')), {
        recursive: true,
        withFileTypes: true,
      })
      return found.filter((entry) => entry.isFile() && isMeant(entry.parentPath)).map(({ name }) => name)
    } catch {
      return []
    }
  }

  /** What requests left: objects in staging but for kept tables, tables in the scratch database. */
  leftovers(): readonly string[] {
    return [
      ...this.objects('s3://staging/feast/', (folder) => !folder.includes('/tables/')),
      ...this.athena.catalog.tables('scratch').map(({ name }) => name),
    ]
  }

  async close(): Promise<void> {
    await this.store.close()
    await this.emulator.stop()
    await this.tables.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function storedAs(type: FeastType, iceberg: boolean): string | undefined {
  if (type.valueType !== 'UNIX_TIMESTAMP') return undefined
  return iceberg ? 'TIMESTAMP' : 'TIMESTAMP_MS'
}

const SCALARS: Readonly<Record<string, string>> = {
  BOOL: 'boolean',
  INT32: 'int',
  INT64: 'bigint',
  FLOAT: 'float',
  DOUBLE: 'double',
  BYTES: 'binary',
  UNIX_TIMESTAMP: 'timestamp',
  MAP: 'map<string,string>',
}

function hiveText({ type, storedAs: stored }: TableColumn): string {
  if (stored === 'SMALLINT') return 'smallint'
  return hiveOf(type)
}

function hiveOf(type: FeastType): string {
  if (type.element) return `array<${hiveOf(type.element)}>`
  if (type.valueType.endsWith('_LIST'))
    return `array<${hiveOf({ valueType: type.valueType.slice(0, -5) } as FeastType)}>`
  if (type.fields)
    return `struct<${Object.entries(type.fields)
      .map(([name, field]) => `${name}:${hiveOf(field)}`)
      .join(',')}>`
  return SCALARS[type.valueType] ?? 'string'
}
