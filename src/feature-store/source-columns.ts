import type { BatchSource } from '../core/data-source.js'
import { feastError } from '../core/errors.js'
import { isEntityless, type StoredView } from '../core/feature-view.js'
import { type Field, field } from '../core/field.js'
import type { Registry } from '../registry/registry.js'

/** The source's own column behind the name by which definitions know it (R12). */
export function sourceColumn(source: BatchSource, name: string): string {
  for (const [column, mapped] of Object.entries(source.fieldMapping)) if (mapped === name) return column
  return name
}

/** What of a view's rows lies where: names as its source has them. */
export interface ViewRows {
  readonly source: BatchSource
  readonly timestampColumn: string
  readonly createdColumn: string | undefined
}

/** @throws INVALID_REQUEST for a view whose rows have no source or no event time */
export function rowsOf(view: StoredView): ViewRows {
  const source = view.batchSource
  if (source === undefined) {
    throw feastError('INVALID_REQUEST', {
      message: `Feature view "${view.name}" has no batch source, so it has no history. Give it a source and apply it again.`,
    })
  }
  if (source.timestampField === '') {
    throw feastError('INVALID_REQUEST', {
      message: `Data source "${source.name}" of feature view "${view.name}" has no timestamp field. Set it, or run \`feast apply\` to infer it.`,
    })
  }
  return {
    source,
    timestampColumn: sourceColumn(source, source.timestampField),
    createdColumn:
      source.createdTimestampColumn === '' ? undefined : sourceColumn(source, source.createdTimestampColumn),
  }
}

/** Join keys of a view that has entities; none for one that has not. */
export function joinKeyFields(registry: Registry, project: string, view: StoredView): readonly Field[] {
  if (isEntityless(view)) return []
  if (view.entityColumns.length >= view.entities.length) return view.entityColumns
  // A registry of an early Feast has no entity columns; the entities then know their types.
  return view.entities.map((name) => {
    const { joinKey, valueType } = registry.entity(project, name)
    return field(joinKey, { valueType })
  })
}
