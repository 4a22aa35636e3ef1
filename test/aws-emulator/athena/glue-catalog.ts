import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AthenaFault } from './athena-fault.js'
import { type HiveType, parseHiveType } from './hive-type.js'

export interface GlueColumn {
  readonly name: string
  /** As Hive writes it. */
  readonly type: string
}

export interface GlueTable {
  readonly database: string
  readonly name: string
  readonly columns: readonly GlueColumn[]
  readonly partitionKeys: readonly GlueColumn[]
  /** `s3://bucket/prefix/` */
  readonly location: string
  readonly properties: Readonly<Record<string, string>>
  /** A view's query. It has no location. */
  readonly view?: string
  /** Registered ones: location by values. */
  readonly partitions: Map<string, Partition>
}

export interface Partition {
  readonly values: readonly string[]
  readonly location: string
}

/** A file of a table, and the values of its partition keys. */
export interface TableFile {
  readonly path: string
  readonly values: readonly string[]
}

export function isIceberg({ properties }: GlueTable): boolean {
  return properties['table_type']?.toUpperCase() === 'ICEBERG'
}

/** Databases and tables of `AwsDataCatalog`. Names are kept in lower case. */
export class GlueCatalog {
  readonly #databases = new Map<string, Map<string, GlueTable>>()

  constructor(
    databases: readonly string[],
    readonly pathOf: (uri: string) => string,
  ) {
    for (const name of databases) this.#databases.set(name, new Map())
  }

  get databases(): readonly string[] {
    return [...this.#databases.keys()]
  }

  has(database: string): boolean {
    return this.#databases.has(database.toLowerCase())
  }

  createDatabase(name: string): void {
    this.#databases.set(name.toLowerCase(), this.#databases.get(name.toLowerCase()) ?? new Map())
  }

  tables(database: string): readonly GlueTable[] {
    return [...(this.#databases.get(database.toLowerCase())?.values() ?? [])]
  }

  find(database: string, name: string): GlueTable | undefined {
    return this.#databases.get(database.toLowerCase())?.get(name.toLowerCase())
  }

  /** @throws SCHEMA_NOT_FOUND, and what Glue says of names it cannot hold */
  create(table: Omit<GlueTable, 'partitions'>, replace = false): GlueTable {
    const schema = this.#databases.get(table.database.toLowerCase())
    if (!schema) throw new AthenaFault(`SCHEMA_NOT_FOUND: Schema '${table.database}' does not exist`)
    if (schema.has(table.name.toLowerCase()) && !replace)
      throw new AthenaFault(
        `FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. AlreadyExistsException(message:Table ${table.name} already exists.)`,
      )
    const lower = (columns: readonly GlueColumn[]) =>
      columns.map(({ name, type }) => ({ name: name.toLowerCase(), type: type.toLowerCase() }))
    const made: GlueTable = {
      ...table,
      name: table.name.toLowerCase(),
      columns: lower(table.columns),
      partitionKeys: lower(table.partitionKeys),
      partitions: new Map(),
    }
    for (const { name, type } of [...made.columns, ...made.partitionKeys]) {
      if (!/^[a-z0-9_]+$/.test(name))
        throw new AthenaFault(
          `FAILED: ParseException: column name '${name}' has characters that are not allowed`,
        )
      parseHiveType(type)
    }
    schema.set(made.name, made)
    return made
  }

  drop(database: string, name: string): boolean {
    return this.#databases.get(database.toLowerCase())?.delete(name.toLowerCase()) ?? false
  }

  addPartition(table: GlueTable, values: readonly string[], location?: string): void {
    const folder = table.partitionKeys.map(({ name }, index) => `${name}=${values[index]}`).join('/')
    const where = location ?? `${table.location}${folder}/`
    table.partitions.set(JSON.stringify(values), { values, location: withSlash(where) })
  }

  /** MSCK REPAIR TABLE: folders `key=value` become partitions. */
  repair(table: GlueTable): void {
    const pattern = new RegExp(`^${table.partitionKeys.map(({ name }) => `${name}=([^/]+)`).join('/')}/`)
    for (const path of filesBelow(this.pathOf(table.location))) {
      const values = pattern.exec(path)?.slice(1)
      if (values && !table.partitions.has(JSON.stringify(values))) this.addPartition(table, values)
    }
  }

  files(table: GlueTable): readonly TableFile[] {
    if (table.view !== undefined) return []
    if (table.partitionKeys.length === 0) return this.#filesAt(table.location, [])
    if (table.properties['projection.enabled'] === 'true') return this.#projectedFiles(table)
    return [...table.partitions.values()].flatMap(({ values, location }) => this.#filesAt(location, values))
  }

  #filesAt(location: string, values: readonly string[]): readonly TableFile[] {
    const folder = this.pathOf(location)
    return filesBelow(folder).map((name) => ({ path: join(folder, name), values }))
  }

  /** Catalog partitions are ignored; values outside the declared ranges do not exist. */
  #projectedFiles(table: GlueTable): readonly TableFile[] {
    const keys = table.partitionKeys.map(({ name }) => name)
    const template = withSlash(
      table.properties['storage.location.template'] ??
        `${table.location}${keys.map((key) => `${key}=\${${key}}`).join('/')}`,
    )
    const [fixed] = template.split('${')
    const root = fixed!.slice(0, fixed!.lastIndexOf('/') + 1)
    const order: string[] = []
    const pattern = template.slice(root.length).replace(/\$\{(\w+)\}|[^$]+/g, (part, key: string) => {
      if (key === undefined) return part.replace(/[.*+?^()|[\]\\]/g, '\\$&')
      order.push(key)
      return projectedPattern(table, key)
    })
    const whole = new RegExp(`^${pattern}`)
    return this.#filesAt(root, []).flatMap(({ path }) => {
      const found = whole.exec(path.slice(this.pathOf(root).length).replace(/^\//, ''))
      if (!found) return []
      const values = keys.map((key) => found[order.indexOf(key) + 1]!)
      return keys.every((key, index) => inRange(table, key, values[index]!)) ? [{ path, values }] : []
    })
  }
}

function projectedPattern({ properties }: GlueTable, key: string): string {
  const format = properties[`projection.${key}.format`]
  if (properties[`projection.${key}.type`] !== 'date' || format === undefined) return '([^/]+)'
  return `(${format.replace(/'/g, '').replace(/[yMdHms]/g, '\\d')})`
}

function inRange({ properties }: GlueTable, key: string, value: string): boolean {
  const of = (what: string) => properties[`projection.${key}.${what}`]
  switch (of('type')) {
    case 'enum':
      return of('values')!.split(',').includes(value)
    case 'integer': {
      const [from, to] = of('range')!.split(',').map(Number)
      return Number(value) >= from! && Number(value) <= to!
    }
    case 'date': {
      const [from, to] = of('range')!.split(',')
      const last = to === 'NOW' ? new Date().toISOString() : to!
      const digits = (text: string) => text.replace(/\D/g, '').slice(0, value.replace(/\D/g, '').length)
      return digits(value) >= digits(from!) && digits(value) <= digits(last)
    }
    default:
      return true
  }
}

/** Paths of the files below a folder, relative to it, except hidden ones. */
function filesBelow(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/(^|\/)[_.]/.test(name) && statSync(join(folder, name)).isFile())
    .sort()
}

export function withSlash(location: string): string {
  return location.endsWith('/') ? location : `${location}/`
}

export function hiveTypeOf(column: GlueColumn): HiveType {
  return parseHiveType(column.type)
}

/** Tables that a statement names, and those that its views do: each before what needs it. */
export function tablesNamed(catalog: GlueCatalog, sql: string): readonly GlueTable[] {
  return named(
    catalog.databases.flatMap((database) => catalog.tables(database)),
    sql.toLowerCase(),
  )
}

function named(tables: readonly GlueTable[], sql: string): readonly GlueTable[] {
  const direct = tables.filter(({ name }) => sql.includes(name))
  const views = direct.filter(({ view }) => view !== undefined)
  const below = views.flatMap((one) =>
    named(
      tables.filter((table) => table !== one),
      one.view!.toLowerCase(),
    ),
  )
  return [...new Set([...below, ...direct.filter(({ view }) => view === undefined), ...views])]
}
