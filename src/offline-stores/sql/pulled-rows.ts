import { type Field, field } from '../../core/field.js'
import { type FeastType, UnixTimestamp } from '../../core/value-type.js'
import { PULL_CREATED_TIMESTAMP, PULL_EVENT_TIMESTAMP, type PullQuery } from '../offline-store.js'
import type { PulledRows } from './latest-rows.js'
import { columnNamed, partitionsOf, sourceRows } from './source-rows.js'
import type { SqlDialect } from './sql-dialect.js'
import type { SqlEngine } from './sql-engine.js'
import { feastTypeOf } from './sql-type.js'

type Puller = { readonly dialect: SqlDialect } & Pick<SqlEngine, 'sourceRelation'>

/** A pull with its columns found. */
export interface PulledQuery {
  readonly rows: PulledRows
  readonly fields: readonly Field[]
  readonly isColumnar: boolean
}

/** @throws SOURCE_COLUMN_MISSING, COLUMN_TYPE_MISMATCH, SOURCE_NOT_READABLE, … */
export async function pulledRows(engine: Puller, query: PullQuery): Promise<PulledQuery> {
  const { source, joinKeys, features } = query
  const declared = new Map(
    [...joinKeys, ...features].map(({ column, type }): [string, FeastType] => [column, type]),
  )
  const relation = await engine.sourceRelation(source, declared)
  const shape = {
    source: source.name,
    timestampColumn: query.timestampColumn,
    createdColumn: query.createdColumn,
    ...partitionsOf(source),
    keys: joinKeys.map(({ column }) => column),
  }
  const rows = sourceRows({ ...shape, features }, relation, engine.dialect)
  // A key goes out as its declared type, like a feature.
  const keys = sourceRows({ ...shape, features: joinKeys }, relation, engine.dialect).features
  const outputs = [...joinKeys, ...features].map(({ column, name, type }) => {
    const stored = columnNamed(column, relation)!.type
    return field(name, type.valueType === 'INVALID' ? feastTypeOf(stored) : type)
  })
  return {
    rows: {
      source: rows,
      keys: keys.map(({ value }, index) => ({ expression: value, name: joinKeys[index]!.name })),
      features: features.map(({ name }) => name),
      bounds: { start: query.start, end: query.end },
    },
    isColumnar: relation.isColumnar === true,
    fields: [
      ...outputs,
      field(PULL_EVENT_TIMESTAMP, UnixTimestamp),
      ...(query.createdColumn === undefined ? [] : [field(PULL_CREATED_TIMESTAMP, UnixTimestamp)]),
    ],
  }
}
