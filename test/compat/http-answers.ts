import type { Comparison } from './differences.js'

export interface HttpRequest {
  readonly name: string
  readonly method?: string
  readonly path?: string
  /** Sent as JSON; text is sent as it is. */
  readonly body?: unknown
}

export interface HttpAnswer {
  readonly status: number
  readonly text: string
}

export async function send(port: number, request: HttpRequest): Promise<HttpAnswer> {
  const { method = 'POST', path = '/get-online-features', body } = request
  const url = `http://127.0.0.1:${port}${path}`
  const response = await fetch(url, {
    method,
    headers: {
      // On a busy machine a server may close an idle connection in the moment it is used again.
      connection: 'close',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  }).catch((cause) => {
    throw new Error(`${method} ${url}: no answer`, { cause })
  })
  return { status: response.status, text: await response.text() }
}

interface Table {
  readonly [column: string]: {
    readonly values: readonly unknown[]
    readonly statuses: readonly string[]
    readonly times: readonly string[]
  }
}

/** JSON whose numbers stay text, so that 64-bit integers and `1.0` are compared as they were sent. */
export function parseExact(text: string): unknown {
  const quoted = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
    token.startsWith('"') ? token : `"number ${token}"`,
  )
  return JSON.parse(quoted)
}

function tableOf(text: string): Table | undefined {
  const answer = parseExact(text) as {
    results?: { values: unknown[]; statuses: string[]; event_timestamps: string[] }[]
    metadata?: { feature_names: string[] }
  } | null
  if (!answer?.results || !answer.metadata) return undefined
  return Object.fromEntries(
    answer.metadata.feature_names.map((name, i) => {
      const { values, statuses, event_timestamps } = answer.results![i]!
      return [name, { values, statuses, times: event_timestamps }]
    }),
  )
}

/** Feast's error body is a JSON string that holds JSON, or plain text for errors that have no class. */
export function errorClass(text: string): string | undefined {
  try {
    const inner: unknown = JSON.parse(text)
    return typeof inner === 'string' ? (JSON.parse(inner) as { class: string }).class : undefined
  } catch {
    return undefined
  }
}

/** Compares two answers by meaning: columns by name, since Python Feast's order within a view is random. */
export function compareAnswers(
  comparison: Comparison,
  name: string,
  theirs: HttpAnswer,
  ours: HttpAnswer,
): void {
  if (theirs.status !== ours.status) {
    comparison.same(`${name}: HTTP status`, theirs.status, ours.status)
    return
  }
  if (theirs.status >= 400) {
    const wanted = errorClass(theirs.text)
    if (wanted) comparison.same(`${name}: error class`, wanted, errorClass(ours.text))
    return
  }
  const table = tableOf(theirs.text || 'null')
  if (table) compareTables(comparison, name, table, tableOf(ours.text) ?? {})
  else comparison.same(`${name}: body`, theirs.text, ours.text)
}

function compareTables(comparison: Comparison, name: string, theirs: Table, ours: Table): void {
  comparison.same(`${name}: columns`, Object.keys(theirs).sort(), Object.keys(ours).sort())
  for (const [column, mine] of Object.entries(ours)) {
    const other = theirs[column]
    if (!other) continue
    for (const row of other.values.keys()) {
      const where = `${name}: ${column}[${row}]`
      comparison.same(`${where}: value`, other.values[row], mine.values[row])
      comparison.same(`${where}: status`, other.statuses[row], mine.statuses[row])
      comparison.same(`${where}: time`, other.times[row], mine.times[row])
    }
    comparison.same(`${name}: ${column}: rows`, other.values.length, mine.values.length)
  }
}
