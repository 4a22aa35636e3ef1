import type { ProjectSchema } from '../client/project-schema.js'

/** The TypeScript module of a project's client. The same schema gives the same text. */
export function clientModule(project: string, schema: ProjectSchema): string {
  return `// Written by \`feast generate client\` from the registry of project ${literal(project)}.
// Do not edit: write it again after \`feast apply\`. With --check the command says whether it is up to date.
import { type ClientOptions, createFeastClient, type FeastClient, type Int64Form } from 'feast-node/client'

/** What the project's server can be asked for, with its types by Feast's names. */
export const schema = ${written(schema, 0)} as const

export type Schema = typeof schema

/**
 * A client that knows the names and types of project ${literal(project)}. INT64 values are given as bigint, or with
 * \`int64: 'number'\` as number; one that a number would round is an error then.
 */
export function createClient<Int64 extends Int64Form = 'bigint'>(
  options: ClientOptions<Int64>,
): FeastClient<Schema, Int64 extends 'number' ? number : bigint> {
  return createFeastClient<Schema, Int64>({ ...options, schema })
}
`
}

const LINE_CHARS = 100

/** An object or array on one line where it fits, else a line per member. */
function written(value: unknown, depth: number): string {
  if (typeof value === 'string') return literal(value)
  if (typeof value !== 'object' || value === null) return String(value)
  const isList = Array.isArray(value)
  const members = isList
    ? value.map((one) => written(one, depth + 1))
    : Object.entries(value).map(([name, one]) => `${propertyName(name)}: ${written(one, depth + 1)}`)
  if (members.length === 0) return isList ? '[]' : '{}'
  const [open, close, space] = isList ? ['[', ']', ''] : ['{', '}', ' ']
  const line = `${open}${space}${members.join(', ')}${space}${close}`
  const fits = depth > 2 && 2 * depth + line.length <= LINE_CHARS && !line.includes('\n')
  if (fits) return line
  const indent = '  '.repeat(depth + 1)
  return `${open}\n${members.map((member) => `${indent}${member},\n`).join('')}${'  '.repeat(depth)}${close}`
}

function propertyName(name: string): string {
  // Written plainly, it would set the prototype.
  if (name === '__proto__') return "['__proto__']"
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : literal(name)
}

/** Text in single quotes. */
function literal(text: string): string {
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")
  return `'${inner}'`
}
