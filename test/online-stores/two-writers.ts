import { expect } from '@jest/globals'
import type { EncodedRow } from '../../src/codec/rows.js'
import { encodeTimestamp } from '../../src/codec/timestamp.js'
import type { OnlineStore } from '../../src/online-stores/online-store.js'
import type { Random } from '../compat/random.js'
import { readCells } from './read-cells.js'
import { int, key, row, STATS, T0 } from './redis-open.js'

/**
 * Two writers at once, each with rows of every entity in an order and in batches of its own: so each entity sees one
 * interleaving. Whatever it was, the newest event time must stand, with both features of one and the same row.
 */
export async function interleave(
  writers: readonly [OnlineStore, OnlineStore],
  entities: number,
  random: Random,
): Promise<void> {
  const perWriter: [EncodedRow[], EncodedRow[]] = [[], []]
  const newest: { at: bigint; values: number[] }[] = []
  for (let id = 0; id < entities; id++) {
    newest.push({ at: -(10n ** 18n), values: [] })
    for (let left = random.int(2, 6), value = 0; left > 0; left--, value++) {
      // Few different times, some before 1970, so that many are equal or a microsecond apart.
      const at = random.pick([T0, 0n, -5_000_000n]) + BigInt(random.int(-3, 3))
      perWriter[random.int(0, 1)]!.push(row(id, [value, -value], at))
      const best = newest[id]!
      if (at > best.at) newest[id] = { at, values: [value] }
      else if (at === best.at) best.values.push(value)
    }
  }
  await Promise.all(
    writers.map(async (writer, index) => {
      const rows = shuffled(perWriter[index]!, random)
      for (let start = 0; start < rows.length; ) {
        const end = start + random.int(1, 400)
        await writer.write({ table: STATS, rows: rows.slice(start, end) })
        start = end
      }
    }),
  )
  const shape = {
    features: STATS.features.map((feature) => ({ view: STATS.name, feature })),
    views: [STATS.name],
  }
  const found = await readCells(
    writers[0],
    shape,
    newest.map((_, id) => key(id)),
  )
  const wrong = newest.flatMap(({ at, values }, id) => {
    const [a, b, time] = found[id]!
    const isRight =
      encodeTimestamp(at).equals(time!) &&
      values.some((value) => int(value).equals(a!) && int(-value).equals(b!))
    return isRight ? [] : [{ id, at, values, a, b, time }]
  })
  expect(wrong).toEqual([])
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const out = [...items]
  for (let i = out.length - 1; i > 0; i--) {
    const other = random.int(0, i)
    const item = out[i]!
    out[i] = out[other]!
    out[other] = item
  }
  return out
}
