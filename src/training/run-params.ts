import { feastError } from '../core/errors.js'
import { formatInstant, tryParseInstant } from '../core/instant.js'
import type { InputType, Pipeline } from './pipeline.js'

/**
 * A run's inputs as texts, defaults filled in. @throws INVALID_REQUEST naming every input that is missing, wrong or
 * not known
 */
export function paramsOf(
  { name: pipeline, inputs }: Pipeline,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  const problems = Object.keys(given)
    .filter((name) => !Object.hasOwn(inputs, name))
    .map((name) => `"${name}" is no input (there are ${Object.keys(inputs).join(', ') || 'none'})`)
  const params: Record<string, string> = {}
  for (const [name, { type, default: fallback }] of Object.entries(inputs)) {
    const value = given[name] ?? fallback
    const text = value === undefined ? undefined : textOf(type, value)
    if (value === undefined) problems.push(`"${name}" is missing and has no default`)
    else if (text === undefined) problems.push(`"${name}": ${JSON.stringify(value)} is no ${type}`)
    else params[name] = text
  }
  if (problems.length > 0) {
    throw feastError('INVALID_REQUEST', { message: `Pipeline "${pipeline}": ${problems.join('; ')}.` })
  }
  return params
}

function textOf(type: InputType, value: unknown): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return undefined
  const text = String(value)
  switch (type) {
    case 'int':
      return /^-?\d{1,18}$/.test(text) ? text : undefined
    case 'float':
      return /^-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text) && Number.isFinite(Number(text))
        ? text
        : undefined
    case 'bool':
      return text === 'true' || text === 'false' ? text : undefined
    case 'timestamp':
      return timeText(text)
    default:
      return text
  }
}

function timeText(text: string): string | undefined {
  const time = tryParseInstant(text)
  return time === undefined ? undefined : formatInstant(time)
}

/** A checked input as SQL that every engine reads: what is in it cannot leave the literal. */
export function sqlLiteral(type: InputType, text: string): string {
  if (type === 'int' || type === 'bool') return text
  if (type === 'float') return `CAST('${text}' AS DOUBLE)`
  if (type === 'timestamp') return `TIMESTAMP '${text.replace('T', ' ').replace('Z', '')}'`
  return `'${text.replaceAll("'", "''")}'`
}
