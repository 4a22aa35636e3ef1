import type { ColumnBatch } from '../core/cell.js'
import type { Field } from '../core/field.js'
import { cellJson, cellText } from './cell-json.js'
import { printTable } from './output.js'

export type ScreenFormat = 'json' | 'csv' | 'table'

/** Prints rows as they arrive, at most `limit` of them. A table is held back until its widths are known. */
export async function printRows(
  fields: readonly Field[],
  batches: AsyncIterable<ColumnBatch>,
  format: ScreenFormat,
  limit = Number.POSITIVE_INFINITY,
): Promise<void> {
  const writer = WRITERS[format](fields)
  let printed = 0
  for await (const batch of batches) {
    for (let row = 0; row < batch.rowCount && printed < limit; row++, printed++) {
      writer.row(batch, row)
    }
    if (printed >= limit) break
  }
  writer.end()
}

interface RowWriter {
  row(batch: ColumnBatch, row: number): void
  end(): void
}

const write = (text: string) => process.stdout.write(text)

const WRITERS: Readonly<Record<ScreenFormat, (fields: readonly Field[]) => RowWriter>> = {
  /** A JSON array of one object a row, indented by four as Feast prints it. */
  json(fields) {
    let separator = '[\n'
    return {
      row(batch, row) {
        const members = fields.map(
          ({ name, type }, i) =>
            `        ${JSON.stringify(name)}: ${cellJson(batch.columns[i]![row]!, type)}`,
        )
        write(`${separator}    {\n${members.join(',\n')}\n    }`)
        separator = ',\n'
      },
      end: () => write(separator === '[\n' ? '[]\n' : '\n]\n'),
    }
  },
  csv(fields) {
    write(`${fields.map(({ name }) => csvCell(name)).join(',')}\n`)
    return {
      row: (batch, row) =>
        write(`${fields.map(({ type }, i) => csvCell(cellText(batch.columns[i]![row]!, type))).join(',')}\n`),
      end() {},
    }
  },
  table(fields) {
    const rows: string[][] = []
    return {
      row: (batch, row) => rows.push(fields.map(({ type }, i) => cellText(batch.columns[i]![row]!, type))),
      end: () =>
        printTable(
          fields.map(({ name }) => name),
          rows,
        ),
    }
  },
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
