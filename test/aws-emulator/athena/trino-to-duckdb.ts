import { AthenaFault } from './athena-fault.js'
import { splitAtCommas } from './cell-text.js'

/** What Trino has and DuckDB has not, or has otherwise, once translated. */
export const MACROS: readonly string[] = [
  `CREATE OR REPLACE MACRO json_parse(t) AS t::JSON`,
  `CREATE OR REPLACE MACRO json_format(j) AS j::VARCHAR`,
  `CREATE OR REPLACE MACRO element_at(m, k) AS m[k]`,
  `CREATE OR REPLACE MACRO bitwise_and(a, b) AS a & b`,
  `CREATE OR REPLACE MACRO from_iso8601_timestamp(t) AS t::TIMESTAMPTZ`,
  `CREATE OR REPLACE MACRO from_unixtime_nanos(n) AS make_timestamptz((n / 1000)::BIGINT)`,
  `CREATE OR REPLACE MACRO to_utf8(t) AS encode(t)`,
  `CREATE OR REPLACE MACRO from_utf8(b) AS decode(b)`,
  `CREATE OR REPLACE MACRO trino_bytes(h) AS unhex(h)`,
  `CREATE OR REPLACE MACRO truncate(x) AS trunc(x)`,
  `CREATE OR REPLACE MACRO trino_typeof(x) AS chr(1) || typeof(x)`,
  // Trino writes all digits of a time's precision.
  `CREATE OR REPLACE MACRO trino_text(x) AS CASE typeof(x)
     WHEN 'TIMESTAMP' THEN strftime(TRY_CAST(x::VARCHAR AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%f')
     WHEN 'TIMESTAMP_MS' THEN strftime(TRY_CAST(x::VARCHAR AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%g')
     WHEN 'TIMESTAMP_NS' THEN strftime(TRY_CAST(x::VARCHAR AS TIMESTAMP_NS), '%Y-%m-%d %H:%M:%S.%n')
     ELSE x::VARCHAR END`,
  `CREATE OR REPLACE MACRO trino_concat(a, b) AS a || b`,
]

type Transpile = (
  sql: string,
  from: string,
  to: string,
) => { readonly success: boolean; readonly error?: string | null; readonly sql?: readonly string[] | null }

let transpile: Promise<Transpile> | undefined

/** One Trino query as DuckDB says it. @throws SYNTAX_ERROR */
export async function trinoToDuckDB(sql: string): Promise<string> {
  transpile ??= import('@polyglot-sql/sdk').then((sdk) => sdk.transpile as unknown as Transpile)
  const result = (await transpile)(withOwnNames(sql), 'trino', 'duckdb')
  if (!result.success || result.sql?.length !== 1)
    throw new AthenaFault(`SYNTAX_ERROR: ${result.error ?? 'one statement at a time'}`)
  return withKeptZeros(withNamedFields(result.sql[0]!))
}

/** A sort gives its columns back from the sort key, which knows one zero: -0.0 would come out as 0.0. */
function withKeptZeros(sql: string): string {
  return sql.replace(/(s\."(?:[^"]|"")+") (DESC|ASC) NULLS/g, 'CASE WHEN $1 IS NOT NULL THEN $1 END $2 NULLS')
}

/** Functions that the translation would take for DuckDB's of the same name are given others. */
function withOwnNames(sql: string): string {
  return withTexts(sql)
    .replace(/\b(BIGINT|INTEGER|REAL|DOUBLE)\s+('[^']*')/g, 'CAST($2 AS $1)')
    .replace(/\bX('(?:[0-9a-fA-F]{2})*')/g, 'trino_bytes($1)')
    .replace(/\btypeof\s*\(/gi, 'trino_typeof(')
    .replace(/\bconcat\s*\(/gi, 'trino_concat(')
    .replace(/\bsequence\s*\(/gi, 'generate_series(')
    .replace(/\btransform\s*\(/gi, 'list_transform(')
}

/**
 * A row that is named `hit` gets names for its fields: DuckDB 1.5.5 loses its way among the numbers of fields without
 * names when it drops those that nobody reads.
 */
function withNamedFields(sql: string): string {
  const end = /\)\s+AS\s+hit\b/iy
  let text = sql
  for (let at = text.indexOf('ROW('); at >= 0; at = text.indexOf('ROW(', at + 4)) {
    const close = insideEnd(text, at + 4, end)
    if (close === undefined) continue
    const fields = splitAtCommas(text.slice(at + 4, close.from)).map(
      (value, index) => `f${index + 1} := ${value}`,
    )
    text = `${text.slice(0, at)}struct_pack(${fields.join(', ')}${text.slice(close.from)}`
  }
  return text.replace(/\bhit\[(\d+)\]/gi, 'hit.f$1')
}

/** `CAST(x AS VARCHAR)` becomes `trino_text(x)`. */
function withTexts(sql: string): string {
  const end = /\s+AS\s+VARCHAR\s*\)/iy
  let text = sql
  for (let at = text.length; ; ) {
    // No longer than it was: an ß would be.
    at = text.replace(/[a-z]/g, (letter) => letter.toUpperCase()).lastIndexOf('CAST(', at - 1)
    if (at < 0) return text
    const close = insideEnd(text, at + 5, end)
    if (close !== undefined)
      text = `${text.slice(0, at)}trino_text(${text.slice(at + 5, close.from)})${text.slice(close.to)}`
    if (at === 0) return text
  }
}

/** Where, in the brackets that are open at `start`, the pattern stands. */
function insideEnd(text: string, start: number, pattern: RegExp): { from: number; to: number } | undefined {
  for (let at = start, depth = 0; at < text.length; at++) {
    const sign = text[at]!
    if (depth === 0) {
      pattern.lastIndex = at
      if (pattern.test(text)) return { from: at, to: pattern.lastIndex }
    }
    if (sign === "'" || sign === '"') at = text.indexOf(sign, at + 1)
    if (at < 0) return undefined
    if (sign === '(') depth++
    if (sign === ')' && depth-- === 0) return undefined
  }
  return undefined
}
