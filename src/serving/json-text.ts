/** JSON text of a JSON value in which bigints are integers; bytes are base64, dates ISO text. */
export function jsonText(value: unknown): string {
  switch (typeof value) {
    case 'bigint':
      return String(value)
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null'
    case 'string':
      return JSON.stringify(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      return value === null ? 'null' : objectText(value)
    default:
      return 'null'
  }
}

function objectText(value: object): string {
  if (Array.isArray(value)) return `[${value.map(jsonText).join()}]`
  if (value instanceof Date) return JSON.stringify(value)
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`
  const pairs = Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}:${jsonText(one)}`)
  return `{${pairs.join()}}`
}
