import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { print, printNotice } from '../output.js'

interface OnlineFlags {
  readonly entities?: readonly string[]
  readonly features?: readonly string[]
  readonly featureService?: string
  readonly fullFeatureNames?: boolean
  readonly json?: boolean
}

/** `feast get-online-features -e key=value -f view:feature`. */
export async function getOnlineFeatures(
  context: CliContext,
  _: readonly [],
  flags: OnlineFlags,
): Promise<void> {
  const entities = parseEntities(flags.entities ?? [])
  if (!flags.features === !flags.featureService) {
    throw usageError('Say what to look up: --features "view:feature" (again for more), or --feature-service.')
  }
  const store = await context.store()
  const serving = await store.serving()
  const request = {
    entities,
    fullFeatureNames: flags.fullFeatureNames ?? false,
    ...(flags.features ? { features: flags.features } : {}),
    ...(flags.featureService ? { featureService: flags.featureService } : {}),
  }
  const { body } = await serving.answer(request, 'json')
  const text = body.toString('utf8')
  if (flags.json) return print(text)
  print(columnsText(text))
  printNotComputed(JSON.parse(text) as Answer)
}

interface Answer {
  readonly metadata: { readonly feature_names: readonly string[] }
  readonly results: readonly { readonly values: readonly unknown[]; readonly statuses: readonly string[] }[]
}

/** Without it, a feature of a view in Python looks like one whose value is null. */
function printNotComputed({ metadata, results }: Answer): void {
  const names = metadata.feature_names.filter((_, i) => results[i]?.statuses.includes('INVALID'))
  if (names.length === 0) return
  printNotice(
    `Warning: no value, as their on demand feature view cannot be computed here: ${names.join(', ')}`,
  )
}

/** Feast's command prints names and values only. Numbers keep the digits they came with. */
function columnsText(answer: string): string {
  const quoted = answer.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    token.startsWith('"') ? token : `"${NUMBER}${token}"`,
  )
  const { metadata, results } = JSON.parse(quoted) as Answer
  const columns = metadata.feature_names.map((name, i) => [name, results[i]?.values ?? []] as const)
  const text = JSON.stringify(Object.fromEntries(columns), null, 4)
  return text.replaceAll(NUMBERS, '$1')
}

/** Marks a number that travels as text; no JSON text has a raw control character. */
const NUMBER = '\\u0001'
const NUMBERS = /"\\u0001(-?\d[\d.eE+-]*)"/g

/** `-e a=1 -e b=x -e a=2 -e b=y` is two rows. @throws what to write instead, exit code 2 */
export function parseEntities(pairs: readonly string[]): Readonly<Record<string, readonly string[]>> {
  if (pairs.length === 0) throw usageError('Say for whom: --entities key=value, such as -e driver_id=1001.')
  const columns: Record<string, string[]> = {}
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    if (equals <= 0) throw usageError(`Invalid entity format: ${pair}. Use key=value format.`)
    const column = pair.slice(0, equals)
    columns[column] ??= []
    columns[column].push(pair.slice(equals + 1))
  }
  const lengths = new Set(Object.values(columns).map((column) => column.length))
  if (lengths.size > 1) {
    const counts = Object.entries(columns).map(([column, values]) => `${column} ${values.length}`)
    throw usageError(`Every key needs a value in every row; given were ${counts.join(', ')}.`)
  }
  return columns
}
