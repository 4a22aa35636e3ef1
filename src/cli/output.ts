import { styleText } from 'node:util'

/** A line of the command's result, on stdout. */
export function print(line = ''): void {
  process.stdout.write(`${line}\n`)
}

/** A line for the person at the terminal, on stderr: results stay clean for pipes. */
export function printNotice(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** `--json`: bigints as numbers where exact in full digits, bytes as base64. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, jsonValue, 2))
}

export function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (value instanceof Map) return [...value]
  return value
}

/** Columns left aligned, two spaces apart; no rules. */
export function printTable(headers: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = headers.map((header, i) =>
    Math.max(header.length, ...rows.map((row) => (row[i] ?? '').length)),
  )
  for (const row of [headers, ...rows]) {
    print(
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
  }
}

/** Bold green on a terminal, as Feast marks names; plain in a pipe and under NO_COLOR. */
export function emphasis(text: string): string {
  return colored(process.stdout) ? styleText(['bold', 'green'], text) : text
}

export function alarm(text: string): string {
  return colored(process.stderr) ? styleText(['bold', 'red'], text) : text
}

function colored(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR']
}
