/**
 * A process that writes to a SQL registry, or one in S3, for tests that run several of it or kill it.
 * `<url> <writers> <count> <prefix> [<view> <first hour>]`: so many writers at once, each with connections of its own.
 * Each adds `count` entities one by one, with each a permission of the same name and, where a view is named, one
 * hour to what of it is materialized: all in one write, by compare-and-set with retry.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { editViewState } from '../../src/codec/definitions/view-state.js'
import { encodeBytesField, encodeTextField } from '../../src/codec/wire.js'
import { isFeastError } from '../../src/core/errors.js'
import { nowMicros } from '../../src/core/instant.js'
import type { RegistryChange, RegistryContents } from '../../src/registry/registry-store.js'
import { entityRecordBytes } from './entity-record-bytes.js'
import { openS3Registry } from './open-s3-registry.js'
import { openSqlRegistry } from './open-sql-registry.js'

const [url, writers, count, prefix, view, firstHour] = process.argv.slice(2)
const HOUR = 3_600_000_000n

await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => run(writer)))

async function run(writer: number): Promise<void> {
  const store = await (url!.startsWith('s3:') ? openS3Registry : openSqlRegistry)(url!)
  for (let i = 0; i < Number(count); i++) {
    const name = `${prefix}${writer}_${i}`
    for (;;) {
      const contents = await store.read()
      try {
        const hour = Number(firstHour) + 2 * (writer * Number(count) + i)
        await store.write([...pair(name), ...materialized(contents, hour)], contents.version)
        break
      } catch (error) {
        if (!isFeastError(error, 'REGISTRY_CONFLICT')) throw error
        await sleep(50 * Math.random())
      }
    }
    process.stdout.write(`${name}\n`)
  }
  await store.close()
}

function pair(name: string): readonly RegistryChange[] {
  const spec = Buffer.concat([encodeTextField(1, name), encodeTextField(2, 'demo')])
  return [
    { put: { kind: 'entity', project: 'demo', name, bytes: entityRecordBytes(name, 'demo', '') } },
    { put: { kind: 'permission', project: 'demo', name, bytes: encodeBytesField(1, spec) } },
  ]
}

function materialized({ records }: RegistryContents, hour: number): readonly RegistryChange[] {
  if (view === undefined) return []
  const record = records.find(({ kind, name }) => kind === 'featureView' && name === view)!
  const start = BigInt(hour) * HOUR
  const bytes = editViewState('featureView', record.bytes, {
    now: nowMicros(),
    addInterval: { start, end: start + HOUR },
  })
  return [{ put: { ...record, bytes } }]
}
