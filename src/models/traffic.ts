import { murmur3 } from '../codec/field-hash.js'

/** What each alias of a model is to its callers. */
export type Role = 'champion' | 'canary' | 'shadow'

/** Who answers for a model right now: loaded versions only. Replaced whole when that changes. */
export interface Route {
  readonly champion: string | undefined
  readonly canaries: readonly Canary[]
  /** Never champion or canary as well. */
  readonly shadows: readonly string[]
  readonly salt: string
}

export interface Canary {
  readonly alias: string
  readonly version: string
  /** Percent of the entities. */
  readonly weight: number
}

/** Rows of one request that go to the same version. */
export interface Share {
  readonly version: string
  readonly role: Role
  readonly alias: string
  /** Positions in the request, ascending. */
  readonly rows: readonly number[]
}

const PARTS = 10_000

/**
 * Shares the rows of a request out over champion and canaries. An entity meets the same version every time, on every
 * server, until weights or salt change; with a greater weight, those that met the canary still do.
 * @param keys one per row: what tells the entities apart
 * @returns none when nothing serves the model
 */
export function shareOut(route: Route, keys: readonly string[]): readonly Share[] {
  const { champion, canaries, salt } = route
  if (champion === undefined) return []
  const rest = { version: champion, role: 'champion', alias: 'champion' } as const
  if (canaries.length === 0) return [{ ...rest, rows: keys.map((_, row) => row) }]
  const rows = new Map<Canary | undefined, number[]>()
  keys.forEach((key, row) => {
    const canary = canaryOf(canaries, murmur3(Buffer.from(`${salt}\0${key}`)) % PARTS)
    const mine = rows.get(canary)
    if (mine === undefined) rows.set(canary, [row])
    else mine.push(row)
  })
  return [...rows].map(([canary, mine]) =>
    canary === undefined
      ? { ...rest, rows: mine }
      : { version: canary.version, role: 'canary' as const, alias: canary.alias, rows: mine },
  )
}

function canaryOf(canaries: readonly Canary[], part: number): Canary | undefined {
  let end = 0
  return canaries.find(({ weight }) => {
    end += (weight / 100) * PARTS
    return part < end
  })
}

/** One key per row: its entity columns in the order of their names, however numbers are written. */
export function entityKeys(
  columns: Readonly<Record<string, readonly unknown[]>>,
  rowCount: number,
): readonly string[] {
  const names = Object.keys(columns).sort()
  return Array.from({ length: rowCount }, (_, row) =>
    names.map((name) => `${name}=${String(columns[name]![row])}`).join('\0'),
  )
}
