import type { Cell } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import type { FeastType } from '../core/value-type.js'
import type { OnlineRow } from '../online-stores/online-store.js'
import { entityValue } from './entity-value.js'
import type { OnlinePlan, ReadGroup } from './online-plan.js'

/** Column → values, one per row, as the client gave them. */
export type EntityColumns = Readonly<Record<string, readonly unknown[]>>

/** What was read for one request. */
export interface OnlineRows {
  readonly rowCount: number
  /** Entity columns to echo, in request order. */
  readonly echoed: readonly EchoedColumn[]
  /** One per group of the plan. */
  readonly groups: readonly GroupRows[]
  /** How long the online store took, all groups together. */
  readonly seconds: number
}

export interface EchoedColumn {
  readonly name: string
  /** undefined: not a key of this plan, so `values` are as they came. */
  readonly type: FeastType | undefined
  readonly values: readonly unknown[]
}

/** Rows of the distinct keys, and which of them each request row has. */
export interface GroupRows {
  readonly rows: readonly OnlineRow[]
  /** undefined: request row i has `rows[i]`. */
  readonly rowOf: readonly number[] | undefined
}

/** Bounds on what one request may cost. */
const MAX_CELLS = 5_000_000

/**
 * Reads a plan's features for entity rows: each distinct key once, all groups in the same tick.
 * @throws ENTITY_COLUMN_MISSING, ENTITY_COLUMN_LENGTHS, ENTITY_VALUE_INVALID, PAYLOAD_TOO_LARGE,
 * ONLINE_STORE_UNAVAILABLE
 */
export async function readOnline(plan: OnlinePlan, entities: EntityColumns): Promise<OnlineRows> {
  const rowCount = rowCountOf(entities, plan)
  const columns = keyColumnsOf(plan, entities)
  const keyed = plan.groups.map((group) => keysOf(group, columns, rowCount))
  const started = performance.now()
  const reading = keyed.map(({ keys }, index) => plan.groups[index]!.reader.read(keys))
  const read = reading.length === 1 ? [await reading[0]!] : await Promise.all(reading)
  const groups = keyed.map(({ rowOf }, index) => ({ rows: read[index]!, rowOf }))
  const seconds = (performance.now() - started) / 1000
  // Request data is not echoed, even where it is a join key as well.
  const echoed = [...columns.values()].filter(({ name }) => !plan.requestColumns.has(name))
  return { rowCount, echoed, groups, seconds }
}

function rowCountOf(entities: EntityColumns, plan: OnlinePlan): number {
  const names = Object.keys(entities)
  const rowCount = names.length === 0 ? 0 : entities[names[0]!]!.length
  if (names.some((name) => entities[name]!.length !== rowCount)) {
    const lengths = Object.fromEntries(names.slice(0, 20).map((name) => [name, entities[name]!.length]))
    throw feastError('ENTITY_COLUMN_LENGTHS', { lengths })
  }
  if (rowCount === 0) {
    throw feastError('INVALID_REQUEST', {
      message: 'There are no entity rows; give at least one value in a column of `entities`.',
    })
  }
  if (rowCount * plan.outputs.length > MAX_CELLS) {
    throw feastError('PAYLOAD_TOO_LARGE', { what: 'values (rows × features)', limit: MAX_CELLS })
  }
  return rowCount
}

/** The request's key columns by name, values checked; columns of no entity are left out. */
function keyColumnsOf(plan: OnlinePlan, entities: EntityColumns): ReadonlyMap<string, EchoedColumn> {
  const columns = new Map<string, EchoedColumn>()
  for (const given of Object.keys(entities)) {
    if (plan.requestColumns.has(given) && !plan.keyTypes.has(given)) continue
    const name = plan.joinKeys.has(given) ? given : plan.joinKeyOfEntity.get(given)
    if (name === undefined || (name !== given && Object.hasOwn(entities, name))) continue
    columns.set(name, echoedColumn(name, plan.keyTypes.get(name), entities[given]!))
  }
  for (const { keys, views } of plan.groups) {
    const missing = keys.filter(({ column }) => !columns.has(column)).map(({ column }) => column)
    if (missing.length === 0) continue
    throw feastError('ENTITY_COLUMN_MISSING', {
      columns: missing,
      given: Object.keys(entities).slice(0, 20),
      view: views[0]!.name,
    })
  }
  return columns
}

function echoedColumn(name: string, type: FeastType | undefined, given: readonly unknown[]): EchoedColumn {
  return { name, type, values: type ? given.map((value) => entityValue(value, type, name)) : given }
}

interface Keyed {
  readonly keys: readonly Buffer[]
  readonly rowOf: readonly number[] | undefined
}

function keysOf(group: ReadGroup, columns: ReadonlyMap<string, EchoedColumn>, rowCount: number): Keyed {
  if (group.constantKey) return { keys: [group.constantKey], rowOf: new Array<number>(rowCount).fill(0) }
  const values = group.keys.map((key) => cellsFor(key.type, columns.get(key.column)!))
  const keys: Buffer[] = []
  for (let row = 0; row < rowCount; row++) keys.push(group.encodeKey(values.map((column) => column[row]!)))
  return rowCount === 1 ? { keys, rowOf: undefined } : distinct(keys)
}

/** Two views may type the same column differently; each gets its own reading of it. */
function cellsFor(type: FeastType, column: EchoedColumn): readonly Cell[] {
  if (column.type?.valueType === type.valueType) return column.values as readonly Cell[]
  return column.values.map((value) => entityValue(value, type, column.name))
}

function distinct(keys: readonly Buffer[]): Keyed {
  const indexOf = new Map<string, number>()
  const unique: Buffer[] = []
  const rowOf: number[] = []
  for (const key of keys) {
    const text = key.toString('latin1')
    let index = indexOf.get(text)
    if (index === undefined) {
      index = unique.push(key) - 1
      indexOf.set(text, index)
    }
    rowOf.push(index)
  }
  return unique.length === keys.length ? { keys, rowOf: undefined } : { keys: unique, rowOf }
}
