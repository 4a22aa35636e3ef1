import { readFileSync } from 'node:fs'
import { expect, it } from '@jest/globals'
import { ERROR_CODES, FeastError } from '../../src/core/errors.js'

const page = readFileSync(new URL('../../src/core/errors.md', import.meta.url), 'utf8')
const rows = page
  .split('\n')
  .filter((line) => /^\| [A-Z_]+ \|/.test(line))
  .map((line) => line.split('|').slice(1, -1))
  .map((cells) => cells.map((cell) => cell.trim()))

it('the page lists exactly the codes of the catalogue, in its order', () => {
  expect(rows.map(([code]) => code)).toEqual(ERROR_CODES)
})

it('the page tells the statuses of the catalogue', () => {
  const outcomes = ERROR_CODES.map((code) => new FeastError(code, '', undefined)).map(
    ({ code, http, grpc, feastClass, retry }) => [code, String(http), grpc, feastClass, retry ? 'yes' : 'no'],
  )
  expect(rows.map((cells) => cells.slice(0, 5))).toEqual(outcomes)
  expect(rows.filter(([, , , , , meaning]) => !meaning?.endsWith('.'))).toEqual([])
})
