type Parser = { validate(sql: string): readonly { readonly startLine: number; readonly message: string }[] }

let parser: Promise<Parser> | undefined
const passed = new Set<string>()

/**
 * What Trino's own grammar says against a statement, one line each; empty for a good one. Statements that differ in
 * their numbers and texts alone are looked at once.
 */
export async function trinoMistakes(sql: string): Promise<readonly string[]> {
  const shape = sql.replace(/'(?:[^']|'')*'/g, "''").replace(/\b\d+\b/g, '0')
  if (passed.has(shape)) return []
  parser ??= open()
  const mistakes = [...lint(shape), ...validate(await parser, sql)]
  if (mistakes.length === 0) passed.add(shape)
  return mistakes
}

async function open(): Promise<Parser> {
  // The package's front door opens eight other languages as well.
  const { TrinoSQL } = await import('dt-sql-parser/dist/parser/trino/index.js')
  return new TrinoSQL()
}

function validate(trino: Parser, sql: string): readonly string[] {
  const write = console.error
  // The parser's own second opinion goes to the screen.
  console.error = () => {}
  try {
    return trino.validate(sql).map(({ startLine, message }) => `line ${startLine}: ${message}`)
  } finally {
    console.error = write
  }
}

/** What the grammar lets through and Trino refuses or takes for something else. */
function lint(shape: string): readonly string[] {
  const names = shape.replace(/"(?:[^"]|"")*"/g, '""')
  return [
    ...(/\bASOF\b/i.test(names) ? ['ASOF would be an alias'] : []),
    ...(names.includes('`') ? ['names stand in double quotes, not in backquotes'] : []),
    ...(/\binterval\s+''(?!\s*(second|minute|hour|day|month|year)\b)/i.test(names)
      ? ['an interval needs its unit outside of the quotes']
      : []),
  ]
}
