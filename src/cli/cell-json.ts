import type { Cell, ZonedCell } from '../core/cell.js'
import { formatInstant } from '../core/instant.js'
import { elementTypeOf, type FeastType } from '../core/value-type.js'

/** JSON text of a cell: times in ISO 8601, integers with all their digits, bytes in base64. */
export function cellJson(cell: Cell, type: FeastType): string {
  if (cell === null || cell === undefined) return 'null'
  if (Array.isArray(cell)) {
    const element = elementOf(type)
    return `[${cell.map((member) => cellJson(member, element)).join(', ')}]`
  }
  if (type.valueType === 'UNIX_TIMESTAMP' && typeof cell === 'bigint') return `"${formatInstant(cell)}"`
  if (type.valueType === 'ZONED_TIMESTAMP') {
    const { micros, zone } = cell as ZonedCell
    return JSON.stringify(`${formatInstant(micros)} ${zone}`)
  }
  if (typeof cell === 'bigint') return cell.toString()
  if (cell instanceof Uint8Array) return JSON.stringify(Buffer.from(cell).toString('base64'))
  if (typeof cell === 'object') return objectJson(cell as Readonly<Record<string, Cell>>, type)
  // What JSON has no number for.
  return typeof cell === 'number' && !Number.isFinite(cell) ? 'null' : JSON.stringify(cell)
}

/** As {@link cellJson}, but plain text without quotes: for tables and CSV. null is empty. */
export function cellText(cell: Cell, type: FeastType): string {
  if (cell === null || cell === undefined) return ''
  if (typeof cell === 'number') return String(cell)
  const json = cellJson(cell, type)
  return json.startsWith('"') ? (JSON.parse(json) as string) : json
}

function objectJson(cell: object, type: FeastType): string {
  const entries = cell instanceof Map ? [...cell] : Object.entries(cell)
  const members = entries.map(
    ([key, value]) =>
      `${JSON.stringify(String(key))}: ${cellJson(value as Cell, type.fields?.[String(key)] ?? UNTYPED)}`,
  )
  return `{${members.join(', ')}}`
}

const UNTYPED: FeastType = { valueType: 'INVALID' }

function elementOf(type: FeastType): FeastType {
  if (type.element) return type.element
  const valueType = elementTypeOf(type.valueType)
  if (!valueType) return UNTYPED
  return type.fields ? { valueType, fields: type.fields } : { valueType }
}
