import { formatInstant, parseInstant, tryParseInstant } from '../../src/core/instant.js'

describe('parseInstant', () => {
  it.each([
    ['2026-08-01', 1785542400_000000n],
    ['2026-08-01T10:00:00Z', 1785578400_000000n],
    ['2026-08-01 10:00', 1785578400_000000n],
    ['2026-08-01T10:00:00', 1785578400_000000n],
    ['2026-08-01T12:00:00+02:00', 1785578400_000000n],
    ['2026-08-01T04:30:00-0530', 1785578400_000000n],
    ['2026-08-01T03:00:00-07', 1785578400_000000n],
    ['2026-08-01T10:00:00.5Z', 1785578400_500000n],
    ['2026-08-01T10:00:00.123456789Z', 1785578400_123456n],
    ['1969-12-31T23:59:59.999999Z', -1n],
    ['1950-01-01T00:00:00Z', -631152000_000000n],
    ['0001-01-01T00:00:00Z', -62135596800_000000n],
  ])('%s', (text, micros) => {
    expect(parseInstant(text, 'start')).toBe(micros)
  })

  it.each([
    '',
    'yesterday',
    '2026-13-01',
    '2026-02-30',
    '2026-08-01T24:00:00Z',
    '2026-08-01T10:60:00Z',
    '2026-08-01T10:00:00+99:00',
    '1785578400',
    '2026-8-1',
  ])('refuses %j and says where', (text) => {
    expect(tryParseInstant(text)).toBeUndefined()
    expect(() => parseInstant(text, '--end')).toThrow(/^--end: ".*" is not a date or time; write ISO 8601/)
  })

  it('is undone by formatInstant', () => {
    for (const micros of [0n, -1n, 1n, 1785578400_500000n, 1785578400_000001n, -62135596800_000000n]) {
      expect(parseInstant(formatInstant(micros), '')).toBe(micros)
    }
  })

  it('formats with no, 3 or 6 fraction digits', () => {
    expect(formatInstant(1785578400_000000n)).toBe('2026-08-01T10:00:00Z')
    expect(formatInstant(1785578400_500000n)).toBe('2026-08-01T10:00:00.500Z')
    expect(formatInstant(1785578400_123456n)).toBe('2026-08-01T10:00:00.123456Z')
  })
})
