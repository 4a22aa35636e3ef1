import { statSync } from 'node:fs'
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteText } from '../../../src/offline-stores/duckdb/duckdb-quote.js'

/** What the footer of one Parquet file says of its columns, by name in lower case. */
export type ParquetColumns = ReadonlyMap<string, ParquetColumn>

export interface ParquetColumn {
  /** As the file writes it. */
  readonly name: string
  /** Compressed, of all row groups, nested values included. */
  readonly bytes: number
  /** True for times finer than the millisecond. */
  readonly isFine: boolean
}

/** Footers, read once as long as the file stays the same. */
export class ParquetFiles {
  readonly #known = new Map<string, { readonly state: string; readonly columns: ParquetColumns }>()

  async columns(connection: DuckDBConnection, path: string): Promise<ParquetColumns> {
    const { mtimeMs, size } = statSync(path)
    const state = `${mtimeMs} ${size}`
    const known = this.#known.get(path)
    if (known?.state === state) return known.columns
    const columns = await readFooter(connection, path)
    this.#known.set(path, { state, columns })
    return columns
  }
}

async function readFooter(connection: DuckDBConnection, path: string): Promise<ParquetColumns> {
  const rows = async (sql: string) => (await connection.runAndReadAll(sql)).getRows()
  const file = quoteText(path.replace(/[*?[]/g, (sign) => `[${sign}]`))
  const chunks = await rows(
    `SELECT path_in_schema, sum(total_compressed_size)::BIGINT FROM parquet_metadata(${file}) GROUP BY 1`,
  )
  const schema = (await rows(
    `SELECT name, coalesce(num_children, 0)::INTEGER, coalesce(logical_type, converted_type, '') FROM parquet_schema(${file})`,
  )) as [string, number, string][]
  return new Map(
    topLevel(schema).map(({ name, types }) => {
      const own = chunks.filter(([at]) => at === name || String(at).startsWith(`${name}, `))
      const bytes = own.reduce((sum, [, size]) => sum + Number(size), 0)
      const isFine = types.some((type) => /MICROS=MicroSeconds|NANOS=NanoSeconds|TIMESTAMP_MICROS/.test(type))
      return [name.toLowerCase(), { name, bytes, isFine }]
    }),
  )
}

/** The schema is a tree, parents before their children. */
function topLevel(schema: readonly [string, number, string][]): { name: string; types: string[] }[] {
  let next = 1
  const typesBelow = (): string[] => {
    const [, children, type] = schema[next++]!
    return [type, ...Array.from({ length: children }).flatMap(typesBelow)]
  }
  const columns: { name: string; types: string[] }[] = []
  while (next < schema.length) columns.push({ name: schema[next]![0], types: typesBelow() })
  return columns
}
