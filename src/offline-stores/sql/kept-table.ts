import type { BatchSource } from '../../core/data-source.js'
import { feastError } from '../../core/errors.js'
import type { Field } from '../../core/field.js'
import type { SaveOptions } from '../offline-store.js'
import type { Spending } from './scan-cost.js'
import type { SqlDialect } from './sql-dialect.js'
import type { SqlWarehouse, TablePlace, WarehouseSession } from './sql-warehouse.js'
import { stagedColumns, storable } from './staged-columns.js'
import { isLeft, stamp } from './stamped-name.js'

/**
 * A result kept as a table is a view of the table's name over a table that holds these rows alone and never changes:
 * `rides` over `rides__feast_<stamp>`. To overwrite is to make another such table and then to replace the view, which
 * is one step of the catalog's: whoever reads finds the old rows or the new ones, whole. The old table stays for those
 * who began to read it, and is removed a day later.
 */
const KEPT_NAME = /^(.+)__feast_[0-9a-z]{8,9}_[0-9a-f]{16}$/
/** Room for mark and stamp in the 255 that a catalog gives a name. */
const LONGEST_NAME = 200

/** How the names of a table's own tables begin. */
export function keptName(name: string): string {
  return `${name}__feast_`
}

/** Makes the table and fills it. @returns how many rows */
export type FillTable = (
  session: WarehouseSession,
  table: TablePlace,
  signal: AbortSignal | undefined,
) => Promise<number>

/** @throws TABLE_EXISTS, INVALID_REQUEST for names that tables cannot hold, SOURCE_UNSUPPORTED */
export async function keepTable(
  warehouse: SqlWarehouse,
  target: BatchSource,
  fields: readonly Field[],
  fill: FillTable,
  options: SaveOptions & { readonly spent: Spending },
): Promise<{ readonly rows: number }> {
  const { overwrite = false, signal, spent } = options
  const place = warehouse.keptTables.placeOf(target)
  refuseNames(place, fields)
  await refuseStanding(warehouse, place, overwrite)
  const table = { ...place, name: `${keptName(place.name)}${stamp()}` }
  const session = await warehouse.open(signal)
  let rows: number
  try {
    rows = await fill(session, table, signal).catch(async (error) => {
      await warehouse.keptTables.drop(table)
      throw error
    })
    await show(warehouse, session, { place, table, fields, overwrite })
  } finally {
    spent.add(session.cost)
    await session.close()
  }
  // What cannot be removed now is removed the next time.
  await cleanKept(warehouse, Date.now(), place).catch(() => undefined)
  return { rows }
}

/** Of queries whose rows are kept: all times in them are times, wherever they come from. */
export function keptDialect(dialect: SqlDialect): SqlDialect {
  return { ...dialect, instant: dialect.timestamp }
}

/** A query's rows in columns of the fields' names. @param before how many columns the query has before these */
export function keptRows(sql: string, fields: readonly Field[], dialect: SqlDialect, before = 0): string {
  const names = fields.map((_, index) => `c${index}`)
  const columns = fields.map(
    ({ name, type }, index) => `${storable(names[index]!, type, dialect)} AS ${dialect.name(name)}`,
  )
  const skipped = Array.from({ length: before }, (_, index) => `r${index}`)
  return `SELECT ${columns.join(', ')} FROM (\n${sql}\n) AS q (${[...skipped, ...names].join(', ')})`
}

interface Shown {
  readonly place: TablePlace
  readonly table: TablePlace
  readonly fields: readonly Field[]
  readonly overwrite: boolean
}

/** Where the answer is lost, the view tells whether it was replaced; where it cannot be asked, nothing is dropped. */
async function show(
  { keptTables: tables, dialect }: SqlWarehouse,
  session: WarehouseSession,
  { place, table, fields, overwrite }: Shown,
): Promise<void> {
  const columns = stagedColumns(fields, dialect).map(
    ({ value, stored }) => `${value} AS ${dialect.name(stored.name)}`,
  )
  const head = `CREATE ${overwrite ? 'OR REPLACE ' : ''}VIEW ${tables.ref(place)} AS`
  try {
    await session.execute(`${head}\nSELECT ${columns.join(', ')} FROM ${tables.ref(table)}`)
  } catch (error) {
    const standing = await tables.at(place).catch(() => {
      throw error
    })
    if (standing?.view?.includes(table.name)) return
    await tables.drop(table)
    // Somebody was faster.
    if (standing && !overwrite) throw taken(place, standing)
    throw error
  }
}

function refuseNames(place: TablePlace, fields: readonly Field[]): void {
  const fail = (message: string) => feastError('INVALID_REQUEST', { message })
  if (!/^[a-z0-9_]+$/.test(place.name) || place.name.length > LONGEST_NAME)
    throw fail(
      `A table cannot be named "${place.name}"; take small letters, digits and "_", at most ${LONGEST_NAME}.`,
    )
  const wrong = fields.find(({ name }) => !/^[a-z0-9_]+$/.test(name))
  if (wrong)
    throw fail(
      `A table cannot have a column "${wrong.name}": its columns are named in small letters, digits and "_". Name the feature otherwise by a field mapping, or write a file.`,
    )
}

async function refuseStanding(
  { keptTables: tables }: SqlWarehouse,
  place: TablePlace,
  overwrite: boolean,
): Promise<void> {
  const standing = await tables.at(place)
  if (standing && !(overwrite && standing.view?.includes(keptName(place.name)))) throw taken(place, standing)
}

function taken({ schema, name }: TablePlace, { view }: { readonly view?: string }) {
  return feastError('TABLE_EXISTS', {
    table: `${schema}.${name}`,
    isKept: view?.includes(keptName(name)) ?? false,
  })
}

/**
 * Drops kept tables that no view shows any more, once a day has passed since another took their place: of one place,
 * or of all. @returns their names
 */
export async function cleanKept(
  { keptTables: tables }: SqlWarehouse,
  now: number,
  only?: TablePlace,
): Promise<readonly string[]> {
  const found = new Map<string, { readonly place: TablePlace; readonly kept: TablePlace[] }>()
  for await (const table of tables.kept(only)) {
    const name = KEPT_NAME.exec(table.name)?.[1]
    if (name === undefined) continue
    const key = JSON.stringify([table.schema, name])
    const known = found.get(key) ?? { place: { ...table, name }, kept: [] }
    known.kept.push(table)
    found.set(key, known)
  }
  const dropped: string[] = []
  for (const { place, kept } of found.values()) {
    // Stamps are in the order of time. Readers of a table may have begun until its successor was there.
    kept.sort((a, b) => (a.name < b.name ? -1 : 1))
    const left = kept.filter((table, index) => isLeft((kept[index + 1] ?? table).name, now))
    if (left.length === 0) continue
    const standing = await tables.at(place)
    for (const table of left) {
      if (standing?.view?.includes(table.name)) continue
      await tables.drop(table)
      dropped.push(`${table.schema}.${table.name}`)
    }
  }
  return dropped
}
