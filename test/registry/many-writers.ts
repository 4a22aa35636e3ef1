import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { FileRegistryStore } from '../../src/registry/file/file-registry-store.js'
import { seededRandom } from '../compat/random.js'
import { startWriter } from './writer-process.js'

/**
 * Processes that all add to one registry, while some more are killed as they do.
 * Nothing of the first may be missing at the end, and no lock or temporary file may be left.
 */
export async function expectNothingLost(processes: number, applies: number, kills: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-writers-'))
  try {
    const file = join(folder, 'registry.db')
    const store = new FileRegistryStore(new FileObjectStore(), file)
    await store.write([], undefined)
    const writers = await Promise.all(
      Array.from({ length: processes }, (_, i) => startWriter(['apply', file, String(applies), `w${i}`])),
    )
    const ended = Promise.all(writers.map((writer) => writer.ended))
    const random = seededRandom('writers to kill')
    for (let i = 0; i < kills; i++) {
      const victim = await startWriter(['apply', file, '1000', `victim${i}`])
      await sleep(random.int(100, 400))
      victim.child.kill('SIGKILL')
      await victim.ended
    }
    expect(await ended).toEqual(writers.map(() => 0))
    const { records, version } = await store.read()
    const names = new Set(records.map(({ name }) => name))
    const expected = writers.flatMap((_, w) => Array.from({ length: applies }, (_, i) => `w${w}_${i}`))
    expect(expected.filter((name) => !names.has(name))).toEqual([])
    await store.write([], version)
    expect(readdirSync(folder)).toEqual(['registry.db'])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
