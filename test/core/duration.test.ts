import { formatDuration, parseDuration } from '../../src/core/duration.js'

describe('parseDuration', () => {
  it.each([
    [0, 0],
    [1.5, 1.5],
    ['90d', 7_776_000],
    ['1h30m', 5400],
    ['1h 30m', 5400],
    ['500ms', 0.5],
    ['1us', 0.000001],
    ['2w', 1_209_600],
    ['1.5h', 5400],
    [315_576_000_000, 315_576_000_000],
  ])('%j', (duration, seconds) => {
    expect(parseDuration(duration, 'ttl')).toBe(seconds)
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 1e18, '9999999w', '', '90', '90 days', '-1d', 'd'])(
    'refuses %j',
    (duration) => {
      expect(() => parseDuration(duration, 'Feature view "v": ttl')).toThrow(
        /^Feature view "v": ttl: .* is not a length/,
      )
    },
  )

  it('is undone by formatDuration', () => {
    for (const seconds of [0, 0.000001, 0.5, 59, 60, 5400, 86_400, 604_800, 7_776_000, 90_061.5]) {
      expect(parseDuration(formatDuration(seconds), '')).toBe(seconds)
    }
    expect(formatDuration(7_776_000)).toBe('90d')
    expect(formatDuration(5400)).toBe('1h30m')
  })
})
