import type { Cell } from '../../src/core/cell.js'

/**
 * The rules R1–R11 and the pull, as plain loops over cells. Written from the rules, not from the SQL; slow on purpose.
 */
export type Row = Readonly<Record<string, Cell>>

export interface OracleView {
  readonly rows: readonly Row[]
  readonly timestampColumn: string
  readonly createdColumn: string | undefined
  readonly joinKeys: readonly { readonly column: string; readonly entityColumn: string }[]
  readonly features: readonly { readonly column: string; readonly output: string }[]
  readonly ttlMicros: bigint
}

export function oracleJoin(
  entityRows: readonly Row[],
  timeColumn: string,
  views: readonly OracleView[],
  filterByCreated: boolean,
): readonly Row[] {
  return entityRows.map((entity) => {
    const joined: Record<string, Cell> = { ...entity }
    for (const view of views) {
      const winner = winnerFor(entity, entity[timeColumn] as bigint | null, view, filterByCreated)
      for (const { column, output } of view.features)
        joined[output] = winner ? (winner[column] ?? null) : null
    }
    return joined
  })
}

function winnerFor(
  entity: Row,
  time: bigint | null,
  view: OracleView,
  filterByCreated: boolean,
): Row | undefined {
  if (time === null) return undefined
  let winner: Row | undefined
  for (const row of view.rows) {
    const at = row[view.timestampColumn] as bigint | null
    if (at === null || at > time) continue
    if (view.ttlMicros > 0n && at < time - view.ttlMicros) continue
    if (filterByCreated && view.createdColumn !== undefined) {
      const created = row[view.createdColumn] as bigint | null
      if (created === null || created > time) continue
    }
    if (!view.joinKeys.every(({ column, entityColumn }) => sameKey(row[column]!, entity[entityColumn]!)))
      continue
    if (winner === undefined || beats(row, winner, view)) winner = row
  }
  return winner
}

export interface OraclePull {
  readonly rows: readonly Row[]
  readonly timestampColumn: string
  readonly createdColumn: string | undefined
  readonly joinKeys: readonly string[]
  readonly features: readonly string[]
  readonly start: bigint | undefined
  readonly end: bigint | undefined
}

/** The latest row per key, in no order, and how many rows had no whole key or no time. */
export function oraclePull(pull: OraclePull): { readonly rows: readonly Row[]; readonly skipped: number } {
  const view = {
    ...pull,
    features: pull.features.map((column) => ({ column })),
  }
  const winners: Row[] = []
  let skipped = 0
  for (const row of pull.rows) {
    const at = row[pull.timestampColumn] as bigint | null
    if (at === null) skipped++
    if (
      at === null ||
      (pull.start !== undefined && at < pull.start) ||
      (pull.end !== undefined && at > pull.end)
    )
      continue
    if (pull.joinKeys.some((key) => row[key] === null)) {
      skipped++
      continue
    }
    const place = winners.findIndex((winner) =>
      pull.joinKeys.every((key) => sameKey(winner[key]!, row[key]!)),
    )
    if (place < 0) winners.push(row)
    else if (beats(row, winners[place]!, view)) winners[place] = row
  }
  return { rows: winners, skipped }
}

function sameKey(a: Cell, b: Cell): boolean {
  if (a === null || b === null || a === undefined || b === undefined) return false
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  // Integers of any width are equal by value.
  if (typeof a === 'number' || typeof a === 'bigint') return BigInt(a) === BigInt(b as number | bigint)
  return a === b
}

/** R5. */
function beats(
  a: Row,
  b: Row,
  view: {
    readonly timestampColumn: string
    readonly createdColumn: string | undefined
    readonly features: readonly { readonly column: string }[]
  },
): boolean {
  const columns = [
    view.timestampColumn,
    ...(view.createdColumn === undefined ? [] : [view.createdColumn]),
    ...view.features.map(({ column }) => column),
  ]
  for (const column of columns) {
    const left = a[column] ?? null
    const right = b[column] ?? null
    if (left === null && right === null) continue
    if (left === null) return false
    if (right === null) return true
    const order = compare(left, right)
    if (order !== 0) return order > 0
  }
  return false
}

/** Within a list or struct an absent element is the greatest: any fixed place would do, this is the engine's. */
function compare(a: Cell, b: Cell): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b))
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let index = 0; index < Math.min(a.length, b.length); index++) {
      const order = compare(a[index], b[index])
      if (order !== 0) return order
    }
    return a.length - b.length
  }
  if (typeof a === 'object' && typeof b === 'object') return compare(Object.values(a), Object.values(b))
  if (typeof a === 'number' && typeof b === 'number') {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  }
  return a < b ? -1 : a > b ? 1 : 0
}
