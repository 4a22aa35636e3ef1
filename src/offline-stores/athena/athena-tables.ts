import type { BatchSource } from '../../core/data-source.js'
import { feastError, messageOf } from '../../core/errors.js'
import type { TablePlace, WarehouseTables } from '../sql/sql-warehouse.js'
import { type AthenaParts, AthenaSession } from './athena-session.js'

/** Tables of the Glue catalog that results are kept in. */
export class AthenaTables implements WarehouseTables {
  constructor(
    private readonly parts: AthenaParts,
    private readonly database: string,
  ) {}

  placeOf(target: BatchSource): TablePlace {
    if (target.kind !== 'athenaSource')
      throw feastError('SOURCE_UNSUPPORTED', { source: target.name, type: target.kind, store: 'Athena' })
    const { catalog } = this.parts
    const problem =
      target.table === ''
        ? 'it is a query, and a result is kept in a table'
        : target.dataSource !== '' && target.dataSource !== catalog
          ? `it is in catalog ${target.dataSource}, and results are kept in ${catalog}`
          : undefined
    if (problem !== undefined)
      throw feastError('INVALID_REQUEST', { message: `Source "${target.name}": ${problem}.` })
    return { schema: target.database || this.database, name: target.table }
  }

  ref({ schema, name }: TablePlace): string {
    return [this.parts.catalog, schema, name].map(this.parts.dialect.name).join('.')
  }

  async at({ schema, name }: TablePlace): Promise<{ readonly view?: string } | undefined> {
    const { queries, catalog, dialect } = this.parts
    const found = await queries.table(catalog, schema, name)
    if (found?.TableType !== 'VIRTUAL_VIEW') return found && {}
    const session = new AthenaSession(this.parts, undefined)
    try {
      const { rows } = await session.texts(`SHOW CREATE VIEW ${dialect.name(schema)}.${dialect.name(name)}`)
      return { view: rows.map(([line]) => line).join('\n') }
    } finally {
      await session.close()
    }
  }

  async drop(place: TablePlace): Promise<void> {
    const { staging } = this.parts
    const session = new AthenaSession(this.parts, undefined)
    try {
      await session.drop(place)
      // Last, since it is what tells of the table.
      await staging.removeAll(staging.kept(place))
    } catch (error) {
      staging.logger.warn({ table: `${place.schema}.${place.name}`, why: messageOf(error) }, 'left behind')
    } finally {
      await session.close()
    }
  }

  kept(place?: TablePlace): AsyncIterable<TablePlace> {
    return this.parts.staging.keptTables(place)
  }
}
