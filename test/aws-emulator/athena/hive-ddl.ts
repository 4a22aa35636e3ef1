import { AthenaFault } from './athena-fault.js'
import type { GlueColumn } from './glue-catalog.js'

/** A statement that the engine for data definitions runs, which speaks Hive. */
export type HiveStatement =
  | {
      readonly kind: 'createTable'
      readonly table: TableName
      readonly ifNotExists: boolean
      readonly columns: readonly GlueColumn[]
      readonly partitionKeys: readonly GlueColumn[]
      readonly location: string
      readonly properties: Readonly<Record<string, string>>
    }
  | { readonly kind: 'dropTable'; readonly table: TableName; readonly ifExists: boolean }
  | {
      readonly kind: 'addPartition'
      readonly table: TableName
      readonly partitions: readonly {
        readonly values: Readonly<Record<string, string>>
        readonly location: string | undefined
      }[]
    }
  | {
      readonly kind: 'dropPartition'
      readonly table: TableName
      readonly values: Readonly<Record<string, string>>
    }
  | { readonly kind: 'repair'; readonly table: TableName }
  | { readonly kind: 'createDatabase'; readonly name: string }
  | {
      readonly kind: 'showTables'
      readonly database: string | undefined
      readonly pattern: string | undefined
    }
  | { readonly kind: 'showPartitions'; readonly table: TableName }
  | { readonly kind: 'describe'; readonly table: TableName }

export interface TableName {
  readonly database: string | undefined
  readonly name: string
}

/** @throws what Athena says of a statement that is none; undefined: not for this engine. */
export function parseHive(sql: string): HiveStatement | undefined {
  const words = new Words(sql)
  if (words.skip('create', 'external', 'table')) return createTable(words)
  if (words.skip('drop', 'table')) {
    const ifExists = words.skip('if', 'exists')
    return words.end({ kind: 'dropTable', ifExists, table: words.tableName() })
  }
  if (words.skip('alter', 'table')) return alterTable(words)
  if (words.skip('msck', 'repair', 'table')) return words.end({ kind: 'repair', table: words.tableName() })
  if (words.skip('create', 'database') || words.skip('create', 'schema')) {
    words.skip('if', 'not', 'exists')
    return words.end({ kind: 'createDatabase', name: words.name() })
  }
  if (words.skip('show', 'partitions')) return words.end({ kind: 'showPartitions', table: words.tableName() })
  if (words.skip('show', 'tables')) {
    const database = words.skip('in') || words.skip('from') ? words.name() : undefined
    return words.end({ kind: 'showTables', database, pattern: words.isText() ? words.text() : undefined })
  }
  if (words.skip('describe') || words.skip('desc'))
    return words.end({ kind: 'describe', table: words.tableName() })
  return undefined
}

function createTable(words: Words): HiveStatement {
  const ifNotExists = words.skip('if', 'not', 'exists')
  const table = words.tableName()
  const columns = words.columns()
  if (words.skip('comment')) words.text()
  const partitionKeys = words.skip('partitioned', 'by') ? words.columns() : []
  if (words.skip('row', 'format', 'serde')) words.text()
  if (words.skip('stored', 'as')) words.need('parquet')
  words.need('location')
  const location = words.text()
  const properties = words.skip('tblproperties') ? words.pairs() : {}
  if (!location.startsWith('s3://') || !location.endsWith('/'))
    throw new AthenaFault(`FAILED: the location ${location} must be a folder s3://bucket/prefix/`)
  return words.end({ kind: 'createTable', table, ifNotExists, columns, partitionKeys, location, properties })
}

function alterTable(words: Words): HiveStatement {
  const table = words.tableName()
  if (words.skip('drop')) {
    words.skip('if', 'exists')
    words.need('partition')
    return words.end({ kind: 'dropPartition', table, values: words.pairs() })
  }
  words.need('add')
  words.skip('if', 'not', 'exists')
  const partitions: { values: Record<string, string>; location: string | undefined }[] = []
  while (words.skip('partition')) {
    const values = words.pairs()
    partitions.push({ values, location: words.skip('location') ? words.text() : undefined })
  }
  return words.end({ kind: 'addPartition', table, partitions })
}

/** A statement word by word: names, `quoted` names, 'texts' and signs. */
class Words {
  readonly #words: readonly string[]
  #next = 0

  constructor(readonly sql: string) {
    this.#words = sql.match(/`(?:[^`]|``)*`|'(?:[^'\\]|\\.|'')*'|[\w$]+|[^\s\w]/g) ?? []
  }

  skip(...words: readonly string[]): boolean {
    if (words.some((word, index) => this.#words[this.#next + index]?.toLowerCase() !== word)) return false
    this.#next += words.length
    return true
  }

  need(word: string): void {
    if (!this.skip(word)) throw this.mistake()
  }

  isText(): boolean {
    return this.#words[this.#next]?.startsWith("'") ?? false
  }

  text(): string {
    if (!this.isText()) throw this.mistake()
    return this.#words[this.#next++]!.slice(1, -1).replace(/\\(.)|''/g, (_, sign = "'") => sign)
  }

  name(): string {
    const word = this.#words[this.#next++] ?? ''
    if (word.startsWith('`')) return word.slice(1, -1).replaceAll('``', '`')
    if (!/^\w+$/.test(word)) throw this.mistake()
    return word
  }

  tableName(): TableName {
    const names = [this.name()]
    while (this.skip('.')) names.push(this.name())
    return { database: names.at(-2), name: names.at(-1)! }
  }

  columns(): GlueColumn[] {
    this.need('(')
    const columns: GlueColumn[] = []
    do {
      const name = this.name()
      columns.push({ name, type: this.#type() })
      if (this.skip('comment')) this.text()
    } while (this.skip(','))
    this.need(')')
    return columns
  }

  /** Up to the comma or bracket that ends it. */
  #type(): string {
    const parts: string[] = []
    for (let depth = 0; ; this.#next++) {
      const word = this.#words[this.#next]
      if (word === undefined) throw this.mistake()
      if (depth === 0 && (word === ',' || word === ')' || word.toLowerCase() === 'comment'))
        return parts.join('')
      if (word === '<' || word === '(') depth++
      if (word === '>' || word === ')') depth--
      parts.push(word)
    }
  }

  /** `('a' = 'b', …)`, or `(a = 'b', …)`. */
  pairs(): Record<string, string> {
    const pairs: Record<string, string> = {}
    this.need('(')
    do {
      const key = this.isText() ? this.text() : this.name()
      this.need('=')
      pairs[key] = this.isText() ? this.text() : this.name()
    } while (this.skip(','))
    this.need(')')
    return pairs
  }

  end<T extends HiveStatement>(statement: T): T {
    this.skip(';')
    if (this.#next < this.#words.length) throw this.mistake()
    return statement
  }

  mistake(): AthenaFault {
    const near = this.#words.slice(this.#next, this.#next + 3).join(' ')
    return new AthenaFault(`FAILED: ParseException line 1:0 mismatched input near '${near}'`)
  }
}
