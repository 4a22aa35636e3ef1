import type { OptionSpec } from './command-table.js'

export function readCount(text: string): number {
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw new Error('It must be a whole number.')
}

/** Where a result goes, besides `--json`: see `retrieval-output.ts`. */
export const OUTPUT_OPTIONS: readonly OptionSpec[] = [
  ['--output <file>', 'write there instead of the screen'],
  ['--table <name>', 'keep as a table of the offline store (Athena, Trino)'],
  ['--overwrite', 'replace the output file or the table if there is one'],
  [
    '--format <format>',
    "of the screen (json, csv, table) or of the output (default: by the file's ending)",
    { words: ['json', 'csv', 'table', 'parquet', 'arrow'] },
  ],
  ['--limit <rows>', 'at most so many rows on the screen', { read: readCount }],
]
