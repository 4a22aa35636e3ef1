import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from '@jest/globals'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { objectStoreContract } from '../contract/object-store.js'

const folder = mkdtempSync(join(tmpdir(), 'feast-file-objects-'))
let prefixes = 0

objectStoreContract('file', {
  open: async () => new FileObjectStore(),
  freshPrefix: () => join(folder, `${prefixes++}`, '/'),
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))
