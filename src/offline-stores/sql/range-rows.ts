import { feastError } from '../../core/errors.js'
import { UnixTimestamp } from '../../core/value-type.js'
import type { EntityRows, HistoricalView } from '../offline-store.js'
import type { SourceRows } from './source-rows.js'
import type { SqlDialect } from './sql-dialect.js'
import type { SqlRelation } from './sql-engine.js'

export const DEFAULT_TIME_COLUMN = 'event_timestamp'

/** A view and its columns in its source. */
interface RangedView {
  readonly view: HistoricalView
  readonly rows: SourceRows
}

type Range = Extract<EntityRows, { kind: 'range' }>

/**
 * J3: the distinct (join keys, event time) of the views' sources in the closed range, in that order. Views without
 * keys add no rows beside views that have some. @throws INVALID_REQUEST when views differ in join keys
 */
export function rangeRows(range: Range, views: readonly RangedView[], dialect: SqlDialect): SqlRelation {
  const keyed = views.filter(({ view }) => view.joinKeys.length > 0)
  refuseOtherKeys(keyed)
  const [first] = keyed
  const names = first ? entityColumns(first) : []
  const rows = (first ? keyed : views).map((part) => rowsInRange(part, names, range)).join('\nUNION ALL\n')
  const keys = names.map((_, index) => `c${index}`)
  const time = `c${names.length}`
  const columns = [...keys, 'ft', `${dialect.timestamp('ft')} AS ${time}`].join(', ')
  return {
    sql: `(SELECT ${columns} FROM (SELECT DISTINCT * FROM (\n${rows}\n) AS seen) AS ranged) AS given`,
    order: [...keys, 'ft'],
    columns: [
      ...names.map((name, index) => ({
        name,
        ref: keys[index]!,
        type: first!.rows.keys[index]!.column.type,
      })),
      { name: DEFAULT_TIME_COLUMN, ref: time, type: dialect.typeFor(UnixTimestamp), micros: 'ft' },
    ],
  }
}

function entityColumns({ view }: RangedView): readonly string[] {
  return view.joinKeys.map(({ entityColumn }) => entityColumn)
}

function refuseOtherKeys(keyed: readonly RangedView[]): void {
  for (const part of keyed) {
    const [shared, own] = [entityColumns(keyed[0]!), entityColumns(part)]
    if (own.length === shared.length && own.every((name) => shared.includes(name))) continue
    throw feastError('INVALID_REQUEST', {
      message: `Without entity rows all feature views must have the same join keys; "${keyed[0]!.view.name}" has ${shared.join(', ')} and "${part.view.name}" has ${own.join(', ')}. Give entity rows.`,
    })
  }
}

function rowsInRange({ view, rows }: RangedView, names: readonly string[], { start, end }: Range): string {
  const keys = names.map(
    (name) => rows.keys[view.joinKeys.findIndex(({ entityColumn }) => entityColumn === name)]!,
  )
  const columns = [...keys.map(({ column }, index) => `s.${column.ref} AS c${index}`), `${rows.time} AS ft`]
  const conditions = [
    ...keys.map(({ value }) => `${value} IS NOT NULL`),
    `${rows.time} >= ${start}`,
    `${rows.time} <= ${end}`,
    ...rows.prune({ start, end }),
  ]
  return `SELECT ${columns.join(', ')} FROM ${rows.from} WHERE ${conditions.join(' AND ')}`
}
