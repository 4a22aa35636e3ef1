import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { withFileLock } from '../../src/object-stores/file-lock.js'
import { FileRegistryStore } from '../../src/registry/file/file-registry-store.js'

it('a registry that stays locked is reported with its holder after 15 s, and is untouched', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'feast-lock-'))
  const file = join(folder, 'registry.db')
  const store = new FileRegistryStore(new FileObjectStore(), file)
  const version = await store.write([], undefined)
  await withFileLock(file, async () => {
    await expect(store.write([], version)).rejects.toMatchObject({
      code: 'REGISTRY_LOCKED',
      message: expect.stringContaining(`process ${process.pid} on `),
    })
  })
  expect((await store.read()).version).toBe(version)
  rmSync(folder, { recursive: true })
})
