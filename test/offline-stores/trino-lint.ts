import { TrinoSQL } from 'dt-sql-parser'

const parser = new TrinoSQL()

/** Functions that Trino and Athena have, and that the emulator's engine has or is given. */
const FUNCTIONS = new Set(
  `array cardinality cast coalesce from_base64 json_parse unnest concat count date_diff from_unixtime_nanos greatest if is_nan json_format
  last_value max max_by min regexp_replace row row_number rpad substr to_utf8 transform truncate`.split(
    /\s+/,
  ),
)

/** Words before a parenthesis that are no functions. */
const WORDS = new Set(
  `and as by decimal else exists from in join map on or over select char timestamp then union all values varchar given bigint
  when where with distinct not array row given_rows`.split(/\s+/),
)

/** What is wrong with a statement for Trino; nothing: []. */
export function trinoFaults(sql: string): readonly string[] {
  const faults = parser.validate(sql).map(({ message, startLine }) => `line ${startLine}: ${message}`)
  const bare = sql.replace(/X?'(?:[^']|'')*'|"(?:[^"]|"")*"/gi, '_')
  for (const [word] of bare.matchAll(/\bQUALIFY\b|::|\bASOF\b|`|\bEXCLUDE\b|\bEXCEPT\b|\/|%/gi))
    faults.push(`has ${word}`)
  for (const [, name] of bare.matchAll(/\b([a-z_][a-z0-9_]*)\s*\(/gi)) {
    const word = name!.toLowerCase()
    if (!FUNCTIONS.has(word) && !WORDS.has(word)) faults.push(`calls ${word}`)
  }
  return faults
}
