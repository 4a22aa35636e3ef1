/**
 * A process that writes to a registry file, for tests that run several of it or kill it.
 * `apply <file> <count> <prefix>`: adds entities one by one, each by compare-and-set with retry.
 * `crash <file>`: waits for a line on stdin, then takes the steps of `crashSteps`, naming each when it is done.
 */
import { once } from 'node:events'
import { isFeastError } from '../../src/core/errors.js'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { FileRegistryStore } from '../../src/registry/file/file-registry-store.js'
import type { RegistryChange } from '../../src/registry/registry-store.js'
import { entityRecordBytes } from './entity-record-bytes.js'

const [mode, file, ...rest] = process.argv.slice(2)
const store = new FileRegistryStore(new FileObjectStore(), file!)

if (mode === 'apply') await apply(Number(rest[0]), rest[1]!)
else await crash()

async function apply(count: number, prefix: string): Promise<void> {
  for (let i = 0; i < count; i++) {
    for (;;) {
      const { version } = await store.read()
      try {
        await store.write([change(`${prefix}_${i}`)], version)
        break
      } catch (error) {
        if (!isFeastError(error, 'REGISTRY_CONFLICT')) throw error
      }
    }
  }
}

/** Every step puts `step` at its number, and removes or adds another record with it. */
async function crash(): Promise<void> {
  let version: string | undefined
  try {
    version = (await store.read()).version
  } catch (error) {
    if (!isFeastError(error, 'REGISTRY_NOT_FOUND')) throw error
  }
  process.stdout.write('ready\n')
  await once(process.stdin, 'data')
  for (let step = 1; step <= 3; step++) {
    version = await store.write(
      [change(`added_${step}`), change('step', String(step)), { remove: key(`base_${step}`) }],
      version,
    )
    process.stdout.write(`done ${step}\n`)
  }
  process.exit(0)
}

function key(name: string) {
  return { kind: 'entity', project: 'demo', name } as const
}

function change(name: string, description = ''): RegistryChange {
  return { put: { ...key(name), bytes: entityRecordBytes(name, 'demo', description) } }
}
