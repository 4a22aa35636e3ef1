import { type BatchSource, type DatePartition, datePartitionsOf } from '../../core/data-source.js'
import { feastError } from '../../core/errors.js'
import type { FeastType } from '../../core/value-type.js'
import { typeText } from '../../core/value-type.js'
import { partitionFilter } from './partition-filter.js'
import type { SqlDialect, TimeBounds } from './sql-dialect.js'
import type { SqlRelation } from './sql-engine.js'
import type { SqlColumn, SqlType } from './sql-type.js'

/** The columns of one source that a statement needs, found and typed. Expressions are over the alias `s`. */
export interface SourceRows {
  readonly from: string
  /** Microseconds. */
  readonly time: string
  /** Microseconds, NULL lowest; undefined without a created column. */
  readonly created: string | undefined
  /** Both as times of the engine's own, which it need not compute row by row; undefined where it has to. */
  readonly own: { readonly time: string; readonly created: string | undefined } | undefined
  readonly keys: readonly SourceKey[]
  readonly features: readonly SourceFeature[]
  /** Filters for the engine to skip data by; they let through at least the rows in the bounds. */
  prune(bounds: TimeBounds): readonly string[]
}

export interface SourceKey {
  readonly column: SqlColumn
  /** Comparable across the integer widths and text types. */
  readonly value: string
}

export interface SourceFeature {
  readonly value: string
  /** The stored value as something to sort by, for ties (R5). */
  readonly order: string
}

export interface SourceShape {
  /** For messages: the source's name, and the view's if known. */
  readonly source: string
  readonly view?: string
  readonly timestampColumn: string
  readonly createdColumn: string | undefined
  readonly partitionColumn: string
  /** Of sources that tell how their partitions are written. */
  readonly datePartitions?: readonly DatePartition[]
  readonly keys: readonly string[]
  readonly features: readonly { readonly column: string; readonly type: FeastType }[]
}

export function partitionsOf(source: BatchSource): Pick<SourceShape, 'partitionColumn' | 'datePartitions'> {
  if (source.kind === 'athenaSource' || source.kind === 'trinoSource')
    return { partitionColumn: '', datePartitions: datePartitionsOf(source) }
  return { partitionColumn: source.datePartitionColumn }
}

/** @throws SOURCE_COLUMN_MISSING, COLUMN_TYPE_MISMATCH */
export function sourceRows(shape: SourceShape, relation: SqlRelation, dialect: SqlDialect): SourceRows {
  const find = (name: string) => findColumn(name, shape, relation)
  const at = (column: SqlColumn) => `s.${column.ref}`
  const timeColumn = find(shape.timestampColumn)
  const createdColumn = shape.createdColumn ? find(shape.createdColumn) : undefined
  const partition = columnNamed(shape.partitionColumn, relation)
  const partitions = (shape.datePartitions ?? []).map(({ column: name, format }) => {
    const column = find(name)
    return { expression: at(column), type: column.type, format }
  })
  return {
    from: `${relation.sql} AS s`,
    time: timeOf(timeColumn, shape, dialect),
    created: createdColumn && timeOf(createdColumn, shape, dialect),
    own: ownTimes(timeColumn, createdColumn, dialect),
    keys: shape.keys.map((name) => {
      const column = find(name)
      return { column, value: dialect.key(at(column), column.type) }
    }),
    features: shape.features.map(({ column: name, type }) => {
      const column = find(name)
      const value = dialect.cast(at(column), column.type, type)
      if (value === undefined) throw mismatch(column, typeText(type), shape)
      return { value, order: dialect.orderable(at(column), column.type) }
    }),
    prune: (bounds) => [
      ...filter(dialect.prune(at(timeColumn), timeColumn.type, bounds)),
      ...(partition ? filter(dialect.prune(at(partition), partition.type, widened(bounds))) : []),
      ...partitionFilter(partitions, widened(bounds), dialect),
    ],
  }
}

function filter(condition: string | undefined): readonly string[] {
  return condition === undefined ? [] : [condition]
}

const DAY_MICROS = 86_400_000_000n

/** A partition's days may be those of another zone (spec §1.4): one day of room on each side. */
function widened({ start, end }: TimeBounds): TimeBounds {
  return {
    start: start === undefined ? undefined : start - DAY_MICROS,
    end: end === undefined ? undefined : end + DAY_MICROS,
  }
}

/** Engines that keep names in lower case are asked for them as they were given. */
export function columnNamed(name: string, { columns, foldsCase }: SqlRelation): SqlColumn | undefined {
  const exact = columns.find((candidate) => candidate.name === name)
  if (exact || !foldsCase) return exact
  return columns.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase())
}

function findColumn(name: string, shape: SourceShape, relation: SqlRelation): SqlColumn {
  const column = columnNamed(name, relation)
  if (column) return column
  throw feastError('SOURCE_COLUMN_MISSING', {
    source: shape.source,
    column: name,
    known: relation.columns.map((candidate) => candidate.name),
    ...(shape.view === undefined ? {} : { view: shape.view }),
  })
}

function timeOf(column: SqlColumn, shape: SourceShape, dialect: SqlDialect): string {
  const micros = dialect.micros(`s.${column.ref}`, column.type)
  if (micros === undefined) throw mismatch(column, 'a timestamp', shape)
  return micros
}

function ownTimes(
  timeColumn: SqlColumn,
  createdColumn: SqlColumn | undefined,
  { own }: SqlDialect,
): SourceRows['own'] {
  const of = ({ ref, type }: SqlColumn) => own?.(`s.${ref}`, type)
  const time = of(timeColumn)
  const created = createdColumn && of(createdColumn)
  const isWhole = time !== undefined && (createdColumn === undefined || created !== undefined)
  return isWhole ? { time, created } : undefined
}

/** The same rows with the engine's own times in place of microseconds, where it has them. */
export function inOwnTimes(source: SourceRows): SourceRows {
  return source.own ? { ...source, ...source.own } : source
}

function mismatch(column: { name: string; type: SqlType }, expected: string, shape: SourceShape) {
  return feastError('COLUMN_TYPE_MISMATCH', {
    column: column.name,
    type: column.type.text,
    expected,
    where: `data source "${shape.source}"`,
  })
}
