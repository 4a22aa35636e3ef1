import type { Document, LineCounter, Scalar } from 'yaml'
import { feastError } from '../core/errors.js'
import { type Environment, expandVariables } from './environment-variables.js'

/** A YAML file as plain data that still knows where everything stood. */
export interface ConfigFile {
  readonly file: string
  readonly data: Readonly<Record<string, unknown>>
  /** `line:column` of a key, by its dotted path; undefined for what is not in the file. */
  readonly positions: ReadonlyMap<string, string>
}

/**
 * Parses YAML 1.1, as Python reads it, and then expands environment variables inside the scalars, so that a value
 * can change neither the document's shape nor its neighbours. A plain scalar that a variable changed is typed
 * anew (`port: ${PORT}` is a number); a quoted one stays text.
 * @throws CONFIG_INVALID with file, line and column
 */
export async function parseConfigFile(text: string, file: string, env: Environment): Promise<ConfigFile> {
  const yaml = await import('yaml')
  const lines = new yaml.LineCounter()
  const document = yaml.parseDocument(text, { version: '1.1', lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error) throw invalid(file, place(lines, error.pos[0]), '', `not valid YAML: ${error.message}`)
  expandScalars(yaml, document, file, lines, env)
  const data: unknown = document.toJS()
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw invalid(file, '1:1', '', 'the file must hold keys and values, such as "project: my_project"')
  }
  return { file, data: data as Record<string, unknown>, positions: positionsOf(yaml, document, lines) }
}

export function invalid(file: string, position: string | undefined, path: string, problem: string): Error {
  return feastError('CONFIG_INVALID', { file: position ? `${file}:${position}` : file, path, problem })
}

function place(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset)
  return `${line}:${col}`
}

type Yaml = typeof import('yaml')

function expandScalars(
  yaml: Yaml,
  document: Document,
  file: string,
  lines: LineCounter,
  env: Environment,
): void {
  yaml.visit(document, {
    Scalar(_, node) {
      // A plain scalar may already have been read as something else than text; its source is what counts.
      const source = node.type === 'PLAIN' ? (node.source ?? '') : node.value
      if (typeof source !== 'string' || !source.includes('$')) return
      const { text, changed, unset } = expandVariables(source, env)
      if (unset.length > 0) throw unsetVariable(file, place(lines, node.range?.[0] ?? 0), unset[0]!)
      if (changed) node.value = node.type === 'PLAIN' ? retyped(yaml, text) : text
    },
  })
}

function unsetVariable(file: string, position: string, name: string): Error {
  return invalid(
    file,
    position,
    '',
    `the environment variable ${name} is not set; set it, or write \${${name}:-default} (for a plain dollar sign: \${${name}:-$${name}})`,
  )
}

/** What the text would be as a plain YAML scalar; text if it would not be one. */
function retyped(yaml: Yaml, text: string): Scalar['value'] {
  if (!/^[\w.+-]+$/.test(text)) return text
  const value: unknown = yaml.parse(text, { version: '1.1', logLevel: 'silent' })
  return typeof value === 'number' || typeof value === 'boolean' ? value : text
}

function positionsOf(yaml: Yaml, document: Document, lines: LineCounter): ReadonlyMap<string, string> {
  const positions = new Map<string, string>()
  const walk = (node: unknown, path: string) => {
    if (!yaml.isMap(node)) return
    for (const { key, value } of node.items) {
      if (!yaml.isScalar(key)) continue
      const keyPath = path === '' ? String(key.value) : `${path}.${String(key.value)}`
      positions.set(keyPath, place(lines, key.range?.[0] ?? 0))
      walk(yaml.isAlias(value) ? value.resolve(document) : value, keyPath)
    }
  }
  walk(document.contents, '')
  return positions
}
