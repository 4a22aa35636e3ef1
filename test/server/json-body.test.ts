import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { JsonSyntaxError, parseJsonBody, parseLookupBody } from '../../src/server/http/json-body.js'

describe('JSON bodies', () => {
  it('reads integers past 2^53 exactly and all other numbers as numbers', () => {
    expect(
      parseJsonBody('[9007199254740993,-9223372036854775808,9007199254740991,1e20,1234567890123456.5]'),
    ).toEqual([9007199254740993n, -9223372036854775808n, 9007199254740991, 1e20, 1234567890123456.5])
  })

  it('leaves digits inside text alone', () => {
    expect(parseJsonBody('{"id":"12345678901234567890","n":12345678901234567890}')).toEqual({
      id: '12345678901234567890',
      n: 12345678901234567890n,
    })
  })

  it("reads Python's NaN and infinities", () => {
    expect(parseJsonBody('[NaN, Infinity, -Infinity]')).toEqual([Number.NaN, Infinity, -Infinity])
  })

  it('skips a byte order mark', () => {
    expect(parseJsonBody('\ufeff{"a":1}')).toEqual({ a: 1 })
  })

  it('makes a member named __proto__ a member', () => {
    const parsed = parseJsonBody('{"__proto__":{"x":12345678901234567890}}')
    expect(Object.keys(parsed as object)).toEqual(['__proto__'])
    expect((parsed as { x?: unknown }).x).toBeUndefined()
  })

  it.each([
    ['{bad', 'Expecting property name enclosed in double quotes', 1],
    ['', 'Expecting value', 0],
    ['[1,]', 'Expecting value', 3],
    ['{"a" 1}', "Expecting ':' delimiter", 5],
    ['[1 2]', "Expecting ',' delimiter", 3],
    ['"abc', 'Unterminated string starting at', 0],
    ['"a\nb"', 'Invalid control character at', 2],
    ['"\\x"', 'Invalid \\escape', 1],
    ['"\\u12g4"', 'Invalid \\uXXXX escape', 2],
    ['1 2', 'Extra data', 2],
    ['01', 'Extra data', 1],
  ])('refuses %j as Python does', (text, message, position) => {
    expect(caught(text)).toMatchObject({ message, position })
  })

  it('refuses what is nested without end instead of running out of stack', () => {
    expect(caught(`${'['.repeat(100_000)}12345678901234567890`)).toBeInstanceOf(JsonSyntaxError)
  })

  it('refuses an integer whose reading alone would take seconds', () => {
    expect(caught(`[${'9'.repeat(100_000)}]`)).toBeInstanceOf(JsonSyntaxError)
  })

  it('agrees with JSON.parse on every JSON text', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        // A long integer at the end sends the text through the careful parser.
        const careful = parseJsonBody(`[${text},12345678901234567890]`) as unknown[]
        expect(careful[1]).toBe(12345678901234567890n)
        expect(withoutBigints(careful[0])).toEqual(JSON.parse(text))
      }),
    )
  })

  it('agrees with JSON.parse on which texts are JSON', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      'a',
      '1',
      '-',
      '.',
      'e',
      'null',
      ' ',
      '\t',
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('')
        expect(caught(`[12345678901234567890,${text}]`) === undefined).toBe(isJson(`[1,${text}]`))
      }),
      { numRuns: 3000 },
    )
  })
})

function caught(text: string): unknown {
  try {
    parseJsonBody(text)
    return undefined
  } catch (error) {
    return error
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** fast-check makes integers past 2^53 too, of which JSON.parse keeps what a double can. */
function withoutBigints(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(withoutBigints)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutBigints(one)]))
}

describe('JSON bodies with a list of features', () => {
  const LIST = '["v:a","v:b"]'

  it.each([
    `{"features":${LIST},"entities":{"id":[1,12345678901234567890]}}`,
    `{"entities":{"id":[1]}, "features" : ${LIST}}`,
    `{"features":${LIST},"features":["v:c"]}`,
    `{"features":["v:c"],"features":${LIST}}`,
    `{"entities":{"features":${LIST}},"features":["v:d"]}`,
    `{"entities":{"features":${LIST}},"features":"x"}`,
    `{"a":{"features":${LIST}}}`,
    `{"a":"\\"features\\":${LIST.replaceAll('"', '\\"')}"}`,
    `{"a":"x,"features":${LIST}}`,
    `{"a\\"features":${LIST}}`,
    `{"features":${LIST}`,
    `{"features":${LIST}]}`,
    `[{"features":${LIST}}]`,
    `{"features":["v:]a","v:b"]}`,
    `{"features":["v:\\u005d"]}`,
    '{"features":[1,"v:a"]}',
    '{"features":[]}',
    '{"features":[[]]}',
    '{"features":["a" "b"]}',
    `{"__proto__":{"x":1},"features":${LIST}}`,
  ])('are read as others are, the first time and later: %s', (text) => {
    parseLookupBody(`{"features":${LIST}}`)
    const [plain, ...others] = [parseJsonBody, parseLookupBody, parseLookupBody, parseLookupBody].map(
      (parse) => {
        try {
          return { read: parse(text) }
        } catch (error) {
          const { message, position } = error as JsonSyntaxError
          return { message, position }
        }
      },
    )
    for (const other of others) expect(other).toEqual(plain)
  })

  it('share a list that cannot be changed', () => {
    const read = () =>
      (parseLookupBody(`{"features":${LIST},"entities":{}}`) as { features: string[] }).features
    read()
    expect(read()).toBe(read())
    expect(() => read().push('v:c')).toThrow(TypeError)
  })
})
