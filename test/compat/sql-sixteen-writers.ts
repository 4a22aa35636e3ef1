import { expect } from '@jest/globals'
import { openSqlRegistry } from '../registry/open-sql-registry.js'
import { expectWhole, killWriters, startSqlWriter } from '../registry/sql-writers.js'
import type { Random } from './random.js'
import type { RealFeast } from './real-feast.js'

const HOUR = 3600

/**
 * 12 writers of ours in three processes and 4 of Python Feast's add to one registry, and all change one view: ours
 * record what of it was materialized, Python's describe it anew. Others of ours are killed meanwhile.
 */
export async function expectSixteenLoseNothing(
  feast: RealFeast,
  url: string,
  { count, kills, random }: { readonly count: number; readonly kills: number; readonly random: Random },
): Promise<void> {
  await feast.call('sql_shared_view', { url })
  const ours = await Promise.all(
    [0, 1, 2].map((process) =>
      startSqlWriter({
        url,
        writers: 4,
        count,
        prefix: `ours${process}_`,
        view: 'shared',
        firstHour: 1000 * process,
      }),
    ),
  )
  const theirs = feast.call<readonly string[]>('sql_write', { url, writers: 4, count: 2 * count })
  const killed = await killWriters(url, kills, random)
  expect(await theirs).toEqual([])
  expect(await Promise.all(ours.map(({ ended }) => ended))).toEqual([0, 0, 0])

  const names = ours.flatMap((writer) => writer.names())
  expect(names).toHaveLength(12 * count)
  const python = [0, 1, 2, 3].flatMap((writer) =>
    Array.from({ length: 2 * count }, (_, i) => `python${writer}_${i}`),
  )
  const store = await openSqlRegistry(url)
  try {
    await expectWhole(store, [...names, ...python, ...killed])
  } finally {
    await store.close()
  }
  const shared = await feast.call<{ description: string; intervals: [number, number][] }>(
    'sql_shared_state',
    { url },
  )
  const wanted = [0, 1, 2].flatMap((process) =>
    Array.from({ length: 4 * count }, (_, i) => (1000 * process + 2 * i) * HOUR),
  )
  expect(shared.intervals.map(([start]) => start).sort((a, b) => a - b)).toEqual(wanted)
  expect(shared.description).toMatch(new RegExp(`^python\\d_${2 * count - 1}$`))
}
