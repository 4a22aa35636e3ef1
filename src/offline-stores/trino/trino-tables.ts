import type { BatchSource } from '../../core/data-source.js'
import { feastError, messageOf } from '../../core/errors.js'
import type { Logger } from '../../core/logger.js'
import { keptName } from '../sql/kept-table.js'
import type { TablePlace, WarehouseTables } from '../sql/sql-warehouse.js'
import { isLeft, stamp } from '../sql/stamped-name.js'
import { quoted, textLiteral } from '../sql/trino-types.js'
import type { TrinoClient } from './trino-client.js'

export interface TrinoCatalog {
  readonly catalog: string
  /** Where rows are staged, and where tables without a schema in their name are. */
  readonly schema: string
  /** Properties of tables made here: `format = 'PARQUET'`; '' = the connector's own. */
  readonly properties: string
}

const SCRATCH = 'feast_entity_'

/** Tables of one catalog: those that results are kept in, and those of requests. */
export class TrinoTables implements WarehouseTables {
  constructor(
    private readonly client: TrinoClient,
    private readonly own: TrinoCatalog,
    private readonly logger: Logger,
  ) {}

  /** A table for one request. */
  newScratch(): TablePlace {
    return { schema: this.own.schema, name: `${SCRATCH}${stamp()}` }
  }

  ref({ schema, name }: TablePlace): string {
    return [this.own.catalog, schema, name].map(quoted).join('.')
  }

  /** What CREATE TABLE says before the query or after the columns. */
  get properties(): string {
    return this.own.properties === '' ? '' : ` WITH (${this.own.properties})`
  }

  /** `table`, `schema.table` or `catalog.schema.table`, whole; a part with a dot in it stands in double quotes. */
  parts(text: string): readonly string[] {
    const parts = [...text.matchAll(/"((?:[^"]|"")*)"|[^."]+/g)].map(
      ([part, inner]) => inner?.replaceAll('""', '"') ?? part,
    )
    return [...[this.own.catalog, this.own.schema].slice(0, Math.max(0, 3 - parts.length)), ...parts]
  }

  placeOf(target: BatchSource): TablePlace {
    if (target.kind !== 'trinoSource')
      throw feastError('SOURCE_UNSUPPORTED', { source: target.name, type: target.kind, store: 'Trino' })
    const fail = (problem: string) =>
      feastError('INVALID_REQUEST', { message: `Source "${target.name}": ${problem}.` })
    if (target.table === '') throw fail('it is a query, and a result is kept in a table')
    const [catalog, schema, name] = this.parts(target.table)
    if (catalog !== this.own.catalog)
      throw fail(`it is in catalog ${catalog}, and results are kept in ${this.own.catalog}`)
    return { schema: schema!, name: name! }
  }

  async at(place: TablePlace): Promise<{ readonly view?: string } | undefined> {
    const found = await this.#texts(
      this.#known('table_type', [
        `table_schema = ${textLiteral(place.schema)}`,
        `table_name = ${textLiteral(place.name)}`,
      ]),
    )
    if (found[0]?.[0] !== 'VIEW') return found.length > 0 ? {} : undefined
    const shown = await this.#texts(`SHOW CREATE VIEW ${this.ref(place)}`)
    return { view: shown.map(([text]) => text).join('\n') }
  }

  async drop(place: TablePlace): Promise<void> {
    try {
      await this.#texts(`DROP TABLE IF EXISTS ${this.ref(place)}`)
    } catch (error) {
      this.logger.warn({ table: this.ref(place), why: messageOf(error) }, 'Trino: a table is left behind')
    }
  }

  async *kept(place?: TablePlace): AsyncGenerator<TablePlace> {
    const like = `%${keptName('')}%`
    yield* await this.#named(place === undefined ? like : `${keptName(place.name)}%`, place?.schema)
  }

  /** Drops what requests left that began so long ago that they are gone. @returns their names */
  async cleanScratch(now: number): Promise<readonly string[]> {
    const all = await this.#named(`${SCRATCH}%`, this.own.schema)
    const left = all.filter(({ name }) => isLeft(name, now))
    for (const table of left) await this.drop(table)
    return left.map(({ name }) => name)
  }

  async #named(like: string, schema?: string): Promise<readonly TablePlace[]> {
    const pattern = textLiteral(like.replaceAll('_', '\\_'))
    const names = await this.#texts(
      this.#known('table_schema, table_name', [
        ...(schema === undefined ? [] : [`table_schema = ${textLiteral(schema)}`]),
        `table_name LIKE ${pattern} ESCAPE '\\'`,
      ]),
    )
    return names.map(([found, name]) => ({ schema: found!, name: name! }))
  }

  #known(columns: string, where: readonly string[]): string {
    return `SELECT ${columns} FROM ${quoted(this.own.catalog)}.information_schema.tables WHERE ${where.join(' AND ')}`
  }

  async #texts(sql: string): Promise<readonly (readonly string[])[]> {
    const found: (readonly string[])[] = []
    for await (const { rows } of this.client.run(sql)) found.push(...rows.map((row) => row.map(String)))
    return found
  }
}
