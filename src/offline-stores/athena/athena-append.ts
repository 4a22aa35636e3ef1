import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TableMetadata } from '@aws-sdk/client-athena'
import type { ColumnBatch } from '../../core/cell.js'
import { type AthenaSource, datePartitionsOf } from '../../core/data-source.js'
import { feastError } from '../../core/errors.js'
import { field } from '../../core/field.js'
import { StringType } from '../../core/value-type.js'
import { openLocalEngine } from '../index.js'
import type { SqlSession } from '../sql/sql-engine.js'
import type { SqlType } from '../sql/sql-type.js'
import { parseTrinoType } from '../sql/trino-types.js'
import { type AthenaParts, AthenaSession } from './athena-session.js'
import { addPartition } from './hive-ddl.js'
import { partitionPrefix, tableLocation } from './table-location.js'

/** Partitions that one append may write into: each gets a file. */
const MAX_PARTITIONS = 400
/** What Hive calls the partition of rows whose key is null. */
const NULL_PARTITION = '__HIVE_DEFAULT_PARTITION__'

interface TableColumn {
  readonly name: string
  readonly type: SqlType
}

/**
 * Adds rows to a table, columns matched by name: to Iceberg by INSERT, to others as Parquet files in the folders of
 * their partitions, which are registered where the table does not project them. Partition keys that the rows do not
 * have are told by their event time.
 * @throws SCHEMA_MISMATCH, SOURCE_NOT_READABLE
 */
export async function appendToTable(
  parts: AthenaParts,
  source: AthenaSource,
  table: TableMetadata,
  batches: AsyncIterable<ColumnBatch>,
): Promise<{ readonly rows: number }> {
  const iterator = batches[Symbol.asyncIterator]()
  const first = await iterator.next()
  if (first.done) return { rows: 0 }
  const target = new AppendTarget(parts, source, table)
  const given = first.value.fields
  target.check(given.map(({ name }) => name))
  if (target.isIceberg) return insertRows(parts, target, from(first.value, iterator))
  const local = await openLocalEngine()
  const session = await local.open()
  const scratch = await mkdtemp(join(tmpdir(), 'feast-append-'))
  try {
    const loaded = await session.load('appended', given, from(first.value, iterator))
    const refs = new Map(loaded.columns.map(({ name, ref }) => [name, ref]))
    return { rows: await target.writeFiles(session, refs, scratch) }
  } finally {
    await session.close()
    await local.close()
    await rm(scratch, { recursive: true, force: true })
  }
}

async function insertRows(
  parts: AthenaParts,
  target: AppendTarget,
  batches: AsyncIterable<ColumnBatch>,
): Promise<{ readonly rows: number }> {
  const session = new AthenaSession(parts, undefined)
  let rows = 0
  const counted = async function* () {
    for await (const batch of batches) {
      rows += batch.rowCount
      yield batch
    }
  }
  try {
    const iterator = counted()
    const first = await iterator.next()
    if (first.done) return { rows: 0 }
    // Any name that Glue holds will do for a table that is gone in a minute.
    const fields = first.value.fields.map(({ type }, index) => field(`a${index}`, type))
    const staged = await session.stageRows(fields, from(first.value, iterator))
    const columns = target.columns.map(({ name, type }) => {
      const position = first.value.fields.findIndex((given) => given.name === name)
      return `CAST(a${position} AS ${type.text})`
    })
    if (rows > 0)
      await session.execute(`INSERT INTO ${target.ref} SELECT ${columns.join(', ')} FROM ${staged}`)
    return { rows }
  } finally {
    await session.close()
  }
}

async function* from(first: ColumnBatch, rest: AsyncIterator<ColumnBatch>): AsyncGenerator<ColumnBatch> {
  yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

class AppendTarget {
  readonly columns: readonly TableColumn[]
  readonly keys: readonly TableColumn[]
  readonly isIceberg: boolean
  readonly ref: string

  constructor(
    private readonly parts: AthenaParts,
    private readonly source: AthenaSource,
    private readonly table: TableMetadata,
  ) {
    this.isIceberg = table.Parameters?.['table_type']?.toUpperCase() === 'ICEBERG'
    const text = (type = '') =>
      this.isIceberg ? type.replace(/\btimestamp\b(?!\s*\()/gi, 'timestamp(6)') : type
    const columns = (of: TableMetadata['Columns']) =>
      (of ?? []).map(({ Name, Type }) => ({ name: Name!, type: parseTrinoType(text(Type)) }))
    this.columns = columns(table.Columns)
    this.keys = columns(table.PartitionKeys)
    this.ref = [source.dataSource, source.database, source.table].map(parts.dialect.name).join('.')
  }

  check(given: readonly string[]): void {
    const timed = datePartitionsOf(this.source).map(({ column }) => column)
    const needed = [...this.columns, ...this.keys.filter(({ name }) => !timed.includes(name))]
    const known = [...this.columns, ...this.keys].map(({ name }) => name)
    const missing = needed.map(({ name }) => name).filter((name) => !given.includes(name))
    const extra = given.filter((name) => !known.includes(name))
    if (missing.length > 0 || extra.length > 0)
      throw feastError('SCHEMA_MISMATCH', { target: `table ${this.source.table}`, missing, extra })
  }

  /** A file per partition, each there as a whole before the table knows of it. */
  async writeFiles(session: SqlSession, refs: ReadonlyMap<string, string>, scratch: string): Promise<number> {
    const values = this.keys.map(({ name }) => this.#keyText(name, refs))
    const columns = this.columns.map(
      ({ name, type }) => `${localValue(refs.get(name)!, type)} AS "${name.replaceAll('"', '""')}"`,
    )
    let rows = 0
    for (const partition of await this.#partitions(session, values)) {
      const where = partition.map((value, index) => `${values[index]} = '${value.replaceAll("'", "''")}'`)
      const condition = where.length > 0 ? ` WHERE ${where.join(' AND ')}` : ''
      const path = join(scratch, `${randomUUID()}.parquet`)
      const written = await session.copy(
        `SELECT ${columns.join(', ')} FROM appended${condition}`,
        [],
        path,
        'parquet',
      )
      rows += written.rows
      if (written.rows > 0) await this.#publish(path, partition)
      await rm(path, { force: true })
    }
    return rows
  }

  async #partitions(session: SqlSession, values: readonly string[]): Promise<readonly (readonly string[])[]> {
    if (values.length === 0) return [[]]
    const fields = values.map((_, index) => field(`p${index}`, StringType))
    const list = values.map((value, index) => `${value} AS p${index}`).join(', ')
    const found: string[][] = []
    for await (const { columns, rowCount } of session.stream(`SELECT DISTINCT ${list} FROM appended`, fields))
      for (let row = 0; row < rowCount; row++) found.push(columns.map((cells) => String(cells[row])))
    if (found.length <= MAX_PARTITIONS) return found
    throw feastError('INVALID_REQUEST', {
      message: `The rows belong to ${found.length} partitions of table ${this.source.table}; add those of at most ${MAX_PARTITIONS} at a time.`,
    })
  }

  /** As text, and never null: given with the rows, or the event time in the partition's format. */
  #keyText(name: string, refs: ReadonlyMap<string, string>): string {
    return `coalesce(${this.#keyValue(name, refs)}, '${NULL_PARTITION}')`
  }

  #keyValue(name: string, refs: ReadonlyMap<string, string>): string {
    const ref = refs.get(name)
    if (ref !== undefined) return `${ref}::VARCHAR`
    const { format } = datePartitionsOf(this.source).find(({ column }) => column === name)!
    const time = refs.get(this.source.timestampField)
    if (time === undefined)
      throw feastError('SCHEMA_MISMATCH', {
        target: `table ${this.source.table}`,
        missing: [name],
        extra: [],
      })
    return `strftime(${time}, '${strftimeOf(format)}')`
  }

  async #publish(path: string, values: readonly string[]): Promise<void> {
    const location = this.#location(values)
    await (await this.parts.staging.objects()).upload(path, `${location}feast-${randomUUID()}.parquet`)
    const isProjected = this.table.Parameters?.['projection.enabled'] === 'true'
    if (values.length === 0 || isProjected) return
    const session = new AthenaSession(this.parts, undefined)
    try {
      const spec = values.map((value, index) => [this.keys[index]!.name, value] as const)
      await session.execute(addPartition(this.source.database, this.source.table, spec, location))
    } finally {
      await session.close()
    }
  }

  #location(values: readonly string[]): string {
    const location = tableLocation(this.table)
    if (location === undefined)
      throw feastError('SOURCE_NOT_READABLE', {
        source: this.source.name,
        why: 'its table has no location on S3',
      })
    if (values.length === 0) return location
    return partitionPrefix(
      this.table,
      location,
      new Map(this.keys.map(({ name }, index) => [name, values[index]!])),
    )
  }
}

function strftimeOf(format: string): string {
  const codes: Readonly<Record<string, string>> = {
    yyyy: '%Y',
    MM: '%m',
    dd: '%d',
    HH: '%H',
    mm: '%M',
    ss: '%S',
  }
  return format.replace(
    /'([^']*)'|yyyy|MM|dd|HH|mm|ss/g,
    (token, text: string | undefined) => text ?? codes[token]!,
  )
}

/** As the table's files hold it: times to the millisecond. */
function localValue(ref: string, type: SqlType): string {
  if (type.kind === 'timestamp') return `date_trunc('milliseconds', ${ref})::TIMESTAMP::TIMESTAMP_MS`
  const local = LOCAL[type.kind] ?? (type.kind === 'decimal' ? type.text : undefined)
  return local === undefined ? ref : `${ref}::${local}`
}

const LOCAL: Partial<Record<SqlType['kind'], string>> = {
  boolean: 'BOOLEAN',
  int8: 'TINYINT',
  int16: 'SMALLINT',
  int32: 'INTEGER',
  int64: 'BIGINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  text: 'VARCHAR',
  bytes: 'BLOB',
  date: 'DATE',
}
