/** Numbers and JSON as Python writes them: Feast stores such text, and answers with it. */

/** `repr(float)`: always with `.0` or an exponent; `1e+22`, `1e-05`, `-0.0`, `inf`, `nan`. */
export function pythonFloat(value: number): string {
  if (Number.isInteger(value)) {
    if (value < 1e16 && value > -1e16) return value === 0 && Object.is(value, -0) ? '-0.0' : `${value}.0`
    return exponential(value)
  }
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  return value < 1e-4 && value > -1e-4 ? exponential(value) : String(value)
}

/** Python writes at least two digits of exponent. */
function exponential(value: number): string {
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
}

/** `str()` of a value that came as JSON. */
export function pythonStr(value: string | number | bigint | boolean): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  // 1.0 and 1 are one number here; people who send a number for text mean its digits.
  if (typeof value === 'number' && !Number.isInteger(value)) return pythonFloat(value)
  return typeof value === 'number' ? BigInt(value).toString() : String(value)
}

/** `json.dumps`: a space after `:` and `,`, everything past ASCII escaped. NaN and infinities become null. */
export function pythonJson(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return asciiJson(value)
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return 'null'
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : pythonFloat(value)
  }
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (value instanceof Date) return asciiJson(value.toISOString())
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`
  const entries = value instanceof Map ? [...value] : Object.entries(value as object)
  return `{${entries.map(([key, item]) => `${asciiJson(String(key))}: ${pythonJson(item)}`).join(', ')}}`
}

function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
