import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { parseJsonBody } from '../../src/server/http/json-body.js'
import { parseInferBody } from '../../src/server/http/number-lists.js'

function read(text: string): unknown {
  try {
    return parseInferBody(Buffer.from(text))
  } catch (error) {
    return error
  }
}

function readPlainly(text: string): unknown {
  try {
    return parseJsonBody(text)
  } catch (error) {
    return error
  }
}

const NUMBERS = [
  '0 -0 1 -1 7.5 0.1 -0.25 123456789012345 0.000000000000001 1e5 1E-7 -2.5e+3 1e999 5e-324 1.7976931348623157e308',
  '0.10000000149011612 3.4028234663852886e+38 9007199254740993.5 0.30000000000000004 12345678.901234567',
].flatMap((line) => line.split(' '))

describe('numbers of a tensor', () => {
  it('are read to the last bit', () => {
    for (const number of NUMBERS) {
      expect(read(`{"inputs":[{"data":[${number} , ${number}]}]}`)).toEqual({
        inputs: [{ data: [Number(number), Number(number)] }],
      })
    }
    const number = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
      fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
      fc.tuple(fc.nat(1e9), fc.nat(1e6)).map(([whole, part]) => `${whole}.${part}`),
      fc.maxSafeInteger().map(String),
    )
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 40 }), (numbers) => {
        const text = `{"inputs": [{"name": "x", "data": [${numbers.join(', ')}]}]}`
        expect(read(text)).toEqual(readPlainly(text))
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['nested', '{"inputs":[{"data":[[1,2],[3,4]]}]}'],
    ['none', '{"inputs":[{"data":[]}]}'],
    ['nulls', '{"inputs":[{"data":[1,null]}]}'],
    ['texts', '{"inputs":[{"data":["1","]"]}]}'],
    ['whole numbers of 16 digits', '{"inputs":[{"data":[1234567890123456,9007199254740993]}]}'],
    ['twice', '{"inputs":[{"data":[1],"data":[2]}]}'],
    ['two inputs', '{"inputs":[{"data":[1],"name":"é"},{"data" : [ 2.5 ]}]}'],
    ['elsewhere', '{"parameters":{"data":[1]},"inputs":[{"data":[2]}]}'],
    ['within a text', '{"id":"\\"data\\":[1]","inputs":[{"data":[2]}]}'],
    ['no inputs', '{"data":[1]}'],
    ['a list of them', '[{"data":[1]}]'],
    ['leading zeros', '{"inputs":[{"data":[01]}]}'],
    ['half numbers', '{"inputs":[{"data":[1.]}]}'],
    ['a lone sign', '{"inputs":[{"data":[-]}]}'],
    ['a plus', '{"inputs":[{"data":[+1]}]}'],
    ['an empty exponent', '{"inputs":[{"data":[1e]}]}'],
    ['a comma at the end', '{"inputs":[{"data":[1,]}]}'],
    ['no end', '{"inputs":[{"data":[1,2'],
    ['an error behind', '{"inputs":[{"data":[1,2]}}'],
    ['nothing', ''],
  ])('are as in the plain way: %s', (_, text) => {
    expect(read(text)).toEqual(readPlainly(text))
  })

  it('of more lists than any model takes are read all the same', () => {
    const text = `{"inputs":[${Array.from({ length: 1500 }, (_, i) => `{"data":[${i},1]}`).join()}]}`
    expect(read(text)).toEqual(readPlainly(text))
  })
})
