import { describe, expect, it } from '@jest/globals'
import { CanaryWatch } from '../../src/models/canary-watch.js'
import { type Canary, entityKeys, type Route, shareOut } from '../../src/models/traffic.js'
import { seededRandom } from '../compat/random.js'

const random = seededRandom('traffic')
const ENTITIES = 20_000
/** Five standard deviations: by chance alone one run in a million is beyond. */
const DEVIATIONS = 5

const route = (weights: Readonly<Record<string, number>>, salt = ''): Route => ({
  champion: '1',
  canaries: Object.entries(weights).map(([alias, weight], index): Canary => {
    return { alias, version: String(index + 2), weight }
  }),
  shadows: [],
  salt,
})

/** Version by row. */
function versions(of: Route, keys: readonly string[]): readonly string[] {
  const rows: string[] = []
  for (const { version, rows: mine } of shareOut(of, keys)) for (const row of mine) rows[row] = version
  return rows
}

function expectShare(got: readonly string[], version: string, percent: number): void {
  const p = percent / 100
  const [expected, deviation] = [got.length * p, Math.sqrt(got.length * p * (1 - p))]
  const count = got.filter((one) => one === version).length
  expect(Math.abs(count - expected)).toBeLessThanOrEqual(DEVIATIONS * deviation)
}

const KINDS: readonly (readonly [string, () => readonly string[]])[] = [
  ['numbers in a row', () => Array.from({ length: ENTITIES }, (_, i) => `driver_id=${1_000_000 + i}`)],
  ['random numbers', () => random.times(ENTITIES, () => `driver_id=${random.bits(62)}`)],
  ['texts', () => random.times(ENTITIES, () => `user=${random.bits(128).toString(36)}@example.com`)],
]

describe.each(KINDS)('entities with keys of %s', (_, make) => {
  it.each([0.5, 1, 5, 33.3, 50, 90])('%d percent of them meet the canary', (percent) => {
    const salt = String(random.bits(64))
    const got = versions(route({ canary: percent }, salt), make())
    expectShare(got, '2', percent)
    expectShare(got, '1', 100 - percent)
  })

  it('two canaries have their shares, and the champion what is left', () => {
    const got = versions(route({ canary: 10, second: 20 }), make())
    expectShare(got, '2', 10)
    expectShare(got, '3', 20)
    expectShare(got, '1', 70)
  })
})

describe('an entity', () => {
  const keys = random.times(ENTITIES, () => `user=${random.bits(64)}`)
  const met = new Map(versions(route({ canary: 20 }, 'a'), keys).map((version, row) => [keys[row]!, version]))

  it('meets its version again, whichever others it is asked for with', () => {
    for (let again = 0; again < 20; again++) {
      const some = random.times(random.int(1, 500), () => random.pick(keys))
      expect(versions(route({ canary: 20 }, 'a'), some)).toEqual(some.map((key) => met.get(key)))
    }
  })

  it('that met the canary still does when its weight grows, and another one may not take it away', () => {
    const grown = versions(route({ canary: 40 }, 'a'), keys)
    const beside = versions(route({ canary: 20, second: 30 }, 'a'), keys)
    const before = keys.flatMap((key, row) => (met.get(key) === '2' ? [row] : []))
    expect(before.length).toBeGreaterThan(0)
    expect(before.filter((row) => grown[row] !== '2' || beside[row] !== '2')).toEqual([])
  })

  it('may meet another one under another salt, independently of the first', () => {
    const other = versions(route({ canary: 20 }, 'b'), keys)
    expectShare(
      other.filter((_, row) => met.get(keys[row]!) === '2'),
      '2',
      20,
    )
  })

  it('is the same however its key is written and in whatever order its columns come', () => {
    const forms = [1001, 1001n, '1001'].map((id) => entityKeys({ driver_id: [id], city: ['seoul'] }, 1))
    const turned = entityKeys({ city: ['seoul'], driver_id: [1001] }, 1)
    expect(new Set([...forms.flat(), ...turned]).size).toBe(1)
    expect(entityKeys({ driver_id: [1001], city: ['jeju'] }, 1)).not.toEqual(turned)
  })
})

it('no weight is nobody, all of it everybody, no champion no answer', () => {
  const keys = ['a=1', 'a=2', 'a=3']
  expect(versions(route({}), keys)).toEqual(['1', '1', '1'])
  expect(versions(route({ canary: 0 }), keys)).toEqual(['1', '1', '1'])
  expect(versions(route({ canary: 100 }), keys)).toEqual(['2', '2', '2'])
  expect(shareOut({ ...route({ canary: 50 }), champion: undefined }, keys)).toEqual([])
})

describe('a canary is judged', () => {
  /** Milliseconds of requests, NaN: failed. @returns after how many it was found wanting, and why */
  function judged(limits: { error_rate?: number; p99_ms?: number }, latest: readonly number[]) {
    const watch = new CanaryWatch({ requests: 200, ...limits })
    for (const [index, ms] of latest.entries()) {
      const why = watch.observe(Number.isNaN(ms) ? 1 : ms, Number.isNaN(ms))
      if (why !== undefined) return [index + 1, why]
    }
    return undefined
  }
  const mixed = (count: number, ms: number, of = 200) =>
    Array.from({ length: of }, (_, row) => (row < count ? ms : 10))

  it.each<[string, object, readonly number[], unknown]>([
    ['errors at the limit', { error_rate: 0.02 }, mixed(4, Number.NaN), undefined],
    [
      'errors beyond it',
      { error_rate: 0.02 },
      mixed(5, Number.NaN),
      [200, '2.5 % of 200 requests failed; allowed are 2 %'],
    ],
    ['not before there were enough', { error_rate: 0.02 }, mixed(199, Number.NaN, 199), undefined],
    ['two slow ones of two hundred', { p99_ms: 50 }, mixed(2, 80), undefined],
    [
      'three slow ones',
      { p99_ms: 50 },
      mixed(3, 80),
      [200, 'p99 of 200 requests is 80.0 ms; allowed are 50 ms'],
    ],
    ['slow ones without a limit', { error_rate: 0.02 }, mixed(200, 80), undefined],
    ['failed ones without a limit', { p99_ms: 50 }, mixed(200, Number.NaN), undefined],
    [
      'errors that were long ago',
      { error_rate: 0.02 },
      [...mixed(190, Number.NaN, 190), ...mixed(0, 0, 200)],
      [200, expect.anything()],
    ],
    [
      'a bad time after a good one',
      { p99_ms: 50 },
      [...mixed(0, 0, 1000), ...mixed(3, 80, 3), ...mixed(0, 0, 17)],
      [1020, expect.anything()],
    ],
  ])('%s', (_, limits, latest, outcome) => {
    expect(judged(limits, latest)).toEqual(outcome)
  })
})
