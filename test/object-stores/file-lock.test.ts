import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { withFileLock } from '../../src/object-stores/file-lock.js'

let folder: string
const path = () => join(folder, 'object')

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feast-lock-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function ownCard(): Promise<Record<string, unknown>> {
  return withFileLock(path(), async () => JSON.parse(readFileSync(`${path()}.lock`, 'utf8')))
}

function leaveBehind(card: Record<string, unknown>, ageMs = 0): void {
  writeFileSync(`${path()}.lock`, JSON.stringify(card))
  const then = (Date.now() - ageMs) / 1000
  utimesSync(`${path()}.lock`, then, then)
}

describe('lock file', () => {
  it('lets one in at a time, in one process too', async () => {
    let inside = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 20 }, () =>
        withFileLock(path(), async () => {
          most = Math.max(most, ++inside)
          await new Promise((resolve) => setTimeout(resolve, 2))
          inside--
        }),
      ),
    )
    expect([most, readdirSync(folder)]).toEqual([1, []])
  })

  it('is given back when the work fails', async () => {
    const failing = withFileLock(path(), async () => {
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(readdirSync(folder)).toEqual([])
  })

  it.each([
    ['a process that is gone', { pid: 2 ** 22 + 1 }],
    ['an earlier process of the same id', { startTime: '1' }],
  ])('of %s is taken away', async (_who, change) => {
    leaveBehind({ ...(await ownCard()), ...change })
    await Promise.all(Array.from({ length: 5 }, () => withFileLock(path(), async () => {})))
    expect(readdirSync(folder)).toEqual([])
  })

  it('of another host is taken away when it is old', async () => {
    leaveBehind({ ...(await ownCard()), place: 'elsewhere' }, 61_000)
    await withFileLock(path(), async () => {})
    expect(readdirSync(folder)).toEqual([])
  })

  it('tells its holder when somebody took it away meanwhile', async () => {
    const work = withFileLock(path(), async (stillHeld) => {
      await stillHeld()
      rmSync(`${path()}.lock`)
      await stillHeld()
    })
    await expect(work).rejects.toMatchObject({ code: 'OBJECT_LOCKED' })
  })
})
