import { cellConverter } from '../codec/cell-conversion.js'
import { rowEncoder } from '../codec/rows.js'
import type { Cell, ColumnBatch } from '../core/cell.js'
import type { BatchSource } from '../core/data-source.js'
import { feastError } from '../core/errors.js'
import type { StoredView } from '../core/feature-view.js'
import { type Field, field } from '../core/field.js'
import { typeText } from '../core/value-type.js'
import type { OnlineWriteBatch } from '../online-stores/online-store.js'
import type { Registry } from '../registry/registry.js'
import type { PushRequest } from './feature-store.js'
import { onlineTable } from './online-table.js'
import { joinKeyFields, rowsOf, sourceColumn } from './source-columns.js'
import type { StoreParts } from './store-parts.js'

/**
 * Rows to every view that the push source feeds (spec 4). They are encoded for all views before any is written; a
 * batch source that several views share gets them once.
 * @throws PUSH_SOURCE_NOT_FOUND, SCHEMA_MISMATCH, INVALID_VALUE
 */
export async function push(parts: StoreParts, { pushSource, rows, to }: PushRequest): Promise<void> {
  const registry = await (await parts.registryCache()).get()
  const views = viewsFedBy(registry, parts.project, pushSource)
  const online = to === 'offline' ? [] : views.map((view) => onlineRows(parts, registry, view, rows))
  const offline =
    to === 'online'
      ? []
      : await Promise.all(distinctSources(views).map((source) => sourceRows(parts, source, rows)))
  for (const rows of online) await writeOnline(parts, registry, rows)
  for (const { source, batch } of offline) await append(parts, source, batch)
}

/** @throws FEATURE_VIEW_NOT_FOUND, SCHEMA_MISMATCH, INVALID_VALUE, INVALID_REQUEST for a view that is computed on demand */
export async function writeToOnlineStore(
  parts: StoreParts,
  view: string,
  rows: ColumnBatch,
): Promise<{ readonly rows: number; readonly skipped: number }> {
  const registry = await (await parts.registryCache()).get()
  const encoded = onlineRows(parts, registry, storedView(registry, parts.project, view), rows)
  const { batch, skipped } = encoded
  await writeOnline(parts, registry, encoded)
  return { rows: batch.rows.length, skipped }
}

/** Appends to the view's batch source. @throws FEATURE_VIEW_NOT_FOUND, SCHEMA_MISMATCH */
export async function writeToOfflineStore(
  parts: StoreParts,
  view: string,
  rows: ColumnBatch,
): Promise<{ readonly rows: number }> {
  const registry = await (await parts.registryCache()).get()
  const { source } = rowsOf(storedView(registry, parts.project, view))
  const { batch } = await sourceRows(parts, source, rows)
  return append(parts, source, batch)
}

function viewsFedBy(registry: Registry, project: string, name: string): readonly StoredView[] {
  const pushed = registry
    .storedViews(project)
    .filter(({ streamSource }) => streamSource?.kind === 'pushSource')
  const views = pushed.filter(({ streamSource }) => streamSource?.name === name)
  if (views.length === 0) {
    throw feastError('PUSH_SOURCE_NOT_FOUND', {
      name,
      known: pushed.map(({ streamSource }) => streamSource!.name),
    })
  }
  return views
}

function storedView(registry: Registry, project: string, name: string): StoredView {
  const view = registry.view(project, name)
  if (view.kind !== 'onDemandFeatureView') return view
  throw feastError('INVALID_REQUEST', {
    message: `"${name}" is computed on demand: it has no rows to write. Write to the views that it is computed from.`,
  })
}

function distinctSources(views: readonly StoredView[]): readonly BatchSource[] {
  return [
    ...new Map(views.map((view) => rowsOf(view).source).map((source) => [source.name, source])).values(),
  ]
}

interface OnlineRows {
  readonly view: string
  readonly batch: OnlineWriteBatch
  readonly skipped: number
}

function onlineRows(parts: StoreParts, registry: Registry, view: StoredView, given: ColumnBatch): OnlineRows {
  const { config, project } = parts
  const { versionNumber } = registry.viewState(project, view.name)
  const table = onlineTable(view, versionNumber, config.registry.versioning)
  const layout = givenLayout(view, joinKeyFields(registry, project, view), given)
  // Feast writes nothing when no row has a value, and all rows when any has one.
  const values = layout.features.map(({ column }) => columnOf(given, column)!)
  if (values.every((cells) => cells.every((cell) => cell === null))) {
    return { view: view.name, batch: { table, rows: [] }, skipped: 0 }
  }
  const what = `Feature view "${view.name}"`
  const { rows, skipped } = rowEncoder({ what, ...layout, entityKeyVersion: config.entityKeyVersion })(given)
  for (const { eventTimestamp } of rows) refuseImpossibleTime(what, eventTimestamp)
  return { view: view.name, batch: { table, rows }, skipped }
}

const FIRST_TIME = -62_135_596_800_000_000n
const LAST_TIME = 253_402_300_799_999_999n

/** What a protobuf Timestamp can be. Such a row would stay for ever, since newest wins, and Python could not read it. */
function refuseImpossibleTime(what: string, micros: bigint): void {
  if (micros >= FIRST_TIME && micros <= LAST_TIME) return
  throw feastError('INVALID_VALUE', {
    message: `${what}: an event time of ${micros / 1_000_000n} s since 1970 is not within the years 1 to 9999; numbers are taken as seconds.`,
  })
}

async function writeOnline(
  parts: StoreParts,
  registry: Registry,
  { view, batch }: OnlineRows,
): Promise<void> {
  if (batch.rows.length === 0) return
  await (await parts.onlineStore()).write(batch)
  const keys = batch.rows.map(({ entityKey }) => entityKey)
  await (await parts.precomputedVectors()).refresh(registry, view, keys)
}

/** Which given column is what. They may carry the source's names or the mapped ones. @throws SCHEMA_MISMATCH */
function givenLayout(view: StoredView, joinKeys: readonly Field[], given: ColumnBatch) {
  const { source } = rowsOf(view)
  const find = (name: string) =>
    [name, sourceColumn(source, name)].find((one) => columnOf(given, one) !== undefined)
  const needed = [...joinKeys, ...view.features].map(({ name }) => name)
  const missing = [...needed, source.timestampField].filter((name) => find(name) === undefined)
  if (missing.length > 0) {
    throw feastError('SCHEMA_MISMATCH', { target: `feature view "${view.name}"`, missing, extra: [] })
  }
  const columns = (fields: readonly Field[]) =>
    fields.map(({ name, type }) => ({ name, type, column: find(name)! }))
  return {
    joinKeys: columns(joinKeys),
    features: columns(view.features),
    eventTimestamp: find(source.timestampField)!,
    createdTimestamp: source.createdTimestampColumn ? find(source.createdTimestampColumn) : undefined,
  }
}

function columnOf(batch: ColumnBatch, name: string): readonly Cell[] | undefined {
  const index = batch.fields.findIndex((one) => one.name === name)
  return index < 0 ? undefined : batch.columns[index]
}

/** The rows given, under the names and with the columns of the source (B20). */
async function sourceRows(
  parts: StoreParts,
  source: BatchSource,
  given: ColumnBatch,
): Promise<{ readonly source: BatchSource; readonly batch: ColumnBatch }> {
  const columns = await (await parts.offlineStore()).describe(source)
  const taken = new Set<string>()
  const found = columns.map(({ name }) => {
    const own = [name, source.fieldMapping[name]].find((one) => one !== undefined && columnOf(given, one))
    if (own !== undefined) taken.add(own)
    return own
  })
  const missing = columns.filter((_, index) => found[index] === undefined).map(({ name }) => name)
  const extra = given.fields.map(({ name }) => name).filter((name) => !taken.has(name))
  if (missing.length + extra.length > 0) {
    throw feastError('SCHEMA_MISMATCH', { target: `data source "${source.name}"`, missing, extra })
  }
  const converted = columns.map((column, index) => sourceCells(source, column, given, found[index]!))
  return {
    source,
    batch: {
      fields: converted.map((one) => one.field),
      columns: converted.map(({ cells }) => cells),
      rowCount: given.rowCount,
    },
  }
}

/** Times may come as text: an engine that casts it would drop the offset. */
function sourceCells(
  source: BatchSource,
  column: Field,
  given: ColumnBatch,
  givenName: string,
): { readonly field: Field; readonly cells: readonly Cell[] } {
  const { type } = given.fields.find(({ name }) => name === givenName)!
  const cells = columnOf(given, givenName)!
  const convert = cellConverter(type, column.type, true, (cell, why) => {
    const value = `${String(cell)} is not a value of type ${typeText(column.type)} (${why})`
    throw feastError('INVALID_VALUE', {
      message: `Data source "${source.name}", column "${column.name}": ${value}.`,
    })
  })
  return convert ? { field: column, cells: cells.map(convert) } : { field: field(column.name, type), cells }
}

async function append(
  parts: StoreParts,
  source: BatchSource,
  batch: ColumnBatch,
): Promise<{ readonly rows: number }> {
  return (await parts.offlineStore()).write(
    source,
    (async function* () {
      yield batch
    })(),
  )
}
