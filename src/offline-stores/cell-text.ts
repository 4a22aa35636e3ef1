import type { Cell } from '../core/cell.js'

/** A cell as text: text as it is, numbers in digits, everything nested as JSON with 64-bit integers in full. */
export function cellText(cell: NonNullable<Cell>): string {
  return typeof cell === 'object' ? jsonText(cell) : String(cell)
}

function jsonText(cell: Cell | undefined): string {
  if (typeof cell === 'bigint') return cell.toString()
  if (Array.isArray(cell)) return `[${cell.map(jsonText).join(',')}]`
  if (cell instanceof Uint8Array) return JSON.stringify(Buffer.from(cell).toString('base64'))
  if (cell instanceof Map) return jsonObject([...cell].map(([key, value]) => [String(key), value]))
  if (typeof cell !== 'object' || cell === null) return JSON.stringify(cell ?? null)
  return jsonObject(Object.entries(cell))
}

function jsonObject(entries: readonly (readonly [string, Cell])[]): string {
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${jsonText(value)}`).join(',')}}`
}
