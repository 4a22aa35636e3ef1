import { AthenaFault } from './athena-fault.js'
import { type HiveStatement, parseHive, type TableName } from './hive-ddl.js'

/** What a statement asks for; `query` is Trino's. */
export type Statement =
  | { readonly kind: 'select'; readonly query: string }
  | { readonly kind: 'unload'; readonly query: string; readonly to: string; readonly options: Options }
  | {
      readonly kind: 'createTableAs'
      readonly table: TableName
      readonly query: string
      readonly options: Options
      readonly withData: boolean
    }
  | { readonly kind: 'insert'; readonly table: TableName; readonly query: string }
  | {
      readonly kind: 'createView'
      readonly table: TableName
      readonly query: string
      readonly replace: boolean
    }
  | { readonly kind: 'dropView'; readonly table: TableName; readonly ifExists: boolean }
  | { readonly kind: 'showCreateView'; readonly table: TableName }
  | HiveStatement

type Options = Readonly<Record<string, string>>

/** @throws AthenaFault: what Athena says of it before it runs */
export function parseStatement(text: string): Statement {
  const sql = text.trim().replace(/;\s*$/, '')
  if (/^(select|with|values|\()/i.test(sql)) return { kind: 'select', query: sql }
  if (/^unload\b/i.test(sql)) return unload(sql)
  if (/^create\s+table\b/i.test(sql)) return createTableAs(sql)
  if (/^insert\s+into\b/i.test(sql)) return insert(sql)
  const view = viewStatement(sql)
  if (view) return view
  const hive = parseHive(sql)
  if (hive) return hive
  throw new AthenaFault('Queries of this type are not supported')
}

function unload(sql: string): Statement {
  const open = sql.indexOf('(')
  const close = closing(sql, open)
  const rest = /^\s*TO\s+'(s3:\/\/[^']+)'\s+WITH\s*\((.*)\)\s*$/is.exec(sql.slice(close + 1))
  if (!rest) throw new AthenaFault(`line 1:${close + 2}: mismatched input. Expecting: 'TO'`)
  const options = optionsOf(rest[2]!)
  if (options['format'] === undefined) throw new AthenaFault('UNLOAD needs the property format')
  if (!/^PARQUET$/i.test(options['format']))
    throw new AthenaFault(`UNLOAD as ${options['format']} is not emulated`)
  if (options['partitioned_by'] !== undefined) throw new AthenaFault('UNLOAD with partitions is not emulated')
  if (!rest[1]!.endsWith('/')) throw new AthenaFault(`UNLOAD to ${rest[1]}: not a folder`)
  return { kind: 'unload', query: sql.slice(open + 1, close).trim(), to: rest[1]!, options }
}

const NAME = /(?:"(?:[^"]|"")+"|\w+)(?:\.(?:"(?:[^"]|"")+"|\w+))*/

function createTableAs(sql: string): Statement {
  const head = new RegExp(
    `^create\\s+table\\s+(?:if\\s+not\\s+exists\\s+)?(${NAME.source})\\s*(with\\s*)?`,
    'i',
  ).exec(sql)
  if (!head) throw new AthenaFault('line 1:14: mismatched input. Expecting a table name')
  let rest = sql.slice(head[0].length)
  let options: Options = {}
  if (head[2] !== undefined) {
    const close = closing(rest, rest.indexOf('('))
    options = optionsOf(rest.slice(rest.indexOf('(') + 1, close))
    rest = rest.slice(close + 1).trim()
  }
  const body = /^as\s+(.*?)(\s+with\s+no\s+data)?$/is.exec(rest)
  if (!body) throw new AthenaFault("line 1:1: mismatched input. Expecting: 'AS'")
  const table = nameOf(head[1]!)
  return { kind: 'createTableAs', table, options, query: body[1]!.trim(), withData: body[2] === undefined }
}

function insert(sql: string): Statement {
  const head = new RegExp(`^insert\\s+into\\s+(${NAME.source})\\s+`, 'i').exec(sql)
  if (!head) throw new AthenaFault('line 1:13: mismatched input. Expecting a table name')
  return { kind: 'insert', table: nameOf(head[1]!), query: sql.slice(head[0].length).trim() }
}

function viewStatement(sql: string): Statement | undefined {
  const head = (text: string) => new RegExp(`^${text}\\s+(${NAME.source})`, 'i').exec(sql)
  const created = head('create\\s+(or\\s+replace\\s+)?view')
  if (created) {
    const query = /^\s+as\s+(.*)$/is.exec(sql.slice(created[0].length))?.[1]
    if (query === undefined) throw new AthenaFault("line 1:1: mismatched input. Expecting: 'AS'")
    return { kind: 'createView', table: nameOf(created[2]!), query, replace: created[1] !== undefined }
  }
  const dropped = head('drop\\s+view(\\s+if\\s+exists)?')
  if (dropped) return { kind: 'dropView', table: nameOf(dropped[2]!), ifExists: dropped[1] !== undefined }
  const shown = head('show\\s+create\\s+view')
  return shown ? { kind: 'showCreateView', table: nameOf(shown[1]!) } : undefined
}

function nameOf(text: string): TableName {
  const names = [...text.matchAll(/"((?:[^"]|"")+)"|(\w+)/g)].map(([, quoted, plain]) =>
    (quoted?.replaceAll('""', '"') ?? plain!).toLowerCase(),
  )
  return { database: names.at(-2), name: names.at(-1)! }
}

function optionsOf(text: string): Options {
  return Object.fromEntries(
    [...text.matchAll(/(\w+)\s*=\s*('(?:[^']|'')*'|ARRAY\s*\[[^\]]*\]|\w+)/gi)].map(([, key, value]) => [
      key!.toLowerCase(),
      value!.startsWith("'") ? value!.slice(1, -1).replaceAll("''", "'") : value!,
    ]),
  )
}

/** Where the bracket that opens at `open` closes. */
function closing(sql: string, open: number): number {
  let depth = 0
  for (let at = open; at < sql.length; at++) {
    const sign = sql[at]!
    if (sign === "'" || sign === '"') at = sql.indexOf(sign, at + 1)
    if (at < 0) break
    if (sign === '(') depth++
    if (sign === ')' && --depth === 0) return at
  }
  throw new AthenaFault("line 1:1: mismatched input '<EOF>'. Expecting: ')'")
}
