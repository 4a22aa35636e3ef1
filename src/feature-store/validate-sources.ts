import type { BatchSource } from '../core/data-source.js'
import { type FeastError, feastError, messageOf } from '../core/errors.js'
import { isEntityless, type StoredView } from '../core/feature-view.js'
import type { Field } from '../core/field.js'
import { typeText, type ValueType } from '../core/value-type.js'
import { throwMistakes } from './collect-definitions.js'
import type { DescribeSource } from './infer-schemas.js'
import { sourceColumn } from './source-columns.js'

/**
 * Holds views against the columns that their sources have. What is there and wrong is a mistake; a source that cannot
 * be read may come later, as in Feast.
 * @returns warnings
 * @throws SOURCE_COLUMN_MISSING, COLUMN_TYPE_MISMATCH, all of them
 */
export async function validateSources(
  views: readonly StoredView[],
  describe: DescribeSource,
): Promise<readonly string[]> {
  const warnings = new Set<string>()
  const mistakes: FeastError[] = []
  for (const view of views) {
    const source = view.batchSource
    if (source === undefined) continue
    const columns = await describe(source).catch((error) => {
      warnings.add(`${messageOf(error)} (feature view "${view.name}" was not checked against it)`)
      return undefined
    })
    if (columns === undefined) continue
    const check: Check = {
      view,
      source,
      columns: new Map(columns.map((column) => [column.name, column])),
      mistakes,
    }
    checkTimes(check)
    for (const key of isEntityless(view) ? [] : view.entityColumns) checkKey(check, key)
    for (const feature of view.features) {
      const warning = checkFeature(check, feature)
      if (warning !== undefined) warnings.add(warning)
    }
  }
  throwMistakes(mistakes)
  return [...warnings]
}

interface Check {
  readonly view: StoredView
  readonly source: BatchSource
  readonly columns: ReadonlyMap<string, Field>
  readonly mistakes: FeastError[]
}

function find({ view, source, columns, mistakes }: Check, name: string): Field | undefined {
  const column = sourceColumn(source, name)
  const found = columns.get(column)
  if (found === undefined) {
    const known = [...columns.keys()]
    mistakes.push(
      feastError('SOURCE_COLUMN_MISSING', { source: source.name, column, known, view: view.name }),
    )
  }
  return found
}

function mismatch(check: Check, { name, type }: Field, expected: string): void {
  const where = `data source "${check.source.name}"`
  check.mistakes.push(
    feastError('COLUMN_TYPE_MISMATCH', { column: name, type: typeText(type), expected, where }),
  )
}

function checkTimes(check: Check): void {
  const { timestampField, createdTimestampColumn } = check.source
  for (const name of [timestampField, createdTimestampColumn]) {
    const column = name === '' ? undefined : find(check, name)
    if (column && column.type.valueType !== 'UNIX_TIMESTAMP') mismatch(check, column, 'a timestamp')
  }
}

/** A key is looked up by value: text and numbers never meet. */
function checkKey(check: Check, key: Field): void {
  const column = find(check, key.name)
  if (column && familyOf(column) !== familyOf(key)) mismatch(check, column, typeText(key.type))
}

function checkFeature(check: Check, feature: Field): string | undefined {
  const column = find(check, feature.name)
  if (column === undefined || familyOf(column) === familyOf(feature)) return undefined
  if (familyOf(column) === undefined || familyOf(feature) === undefined) return undefined
  return `Feature view "${check.view.name}": feature "${feature.name}" is ${typeText(feature.type)}, but column "${column.name}" of data source "${check.source.name}" is ${typeText(column.type)}; values are converted where they can be.`
}

const FAMILIES: Partial<Record<ValueType, string>> = {
  INT32: 'integer',
  INT64: 'integer',
  UNIX_TIMESTAMP: 'time',
  STRING: 'text',
  BYTES: 'bytes',
  FLOAT: 'decimal',
  DOUBLE: 'decimal',
  BOOL: 'truth',
}

/** Types that turn into each other without loss of meaning; undefined where nothing is said of a type. */
function familyOf({ type }: Field): string | undefined {
  return FAMILIES[type.valueType]
}
