import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { decodeRegistryFile, encodeRegistryFile } from '../../src/codec/registry-file.js'
import { recordJson } from '../../src/codec/registry-json.js'
import { fileSource, pushSource, requestSource } from '../../src/core/data-source.js'
import type { Definition, RegistryChange, RegistryRecord } from '../../src/core/definition.js'
import { DUMMY_ENTITY, entity } from '../../src/core/entity.js'
import { featureService } from '../../src/core/feature-service.js'
import { featureView } from '../../src/core/feature-view.js'
import { onDemandFeatureView } from '../../src/core/on-demand-feature-view.js'
import { project } from '../../src/core/project.js'
import { mapJoinKeys, pick, rename } from '../../src/core/projection.js'
import { ArrayOf, Float32, Int64, StringType, Struct } from '../../src/core/value-type.js'
import { createRegistry, type Registry } from '../../src/registry/registry.js'
import { type DiffOptions, diffRegistry } from '../../src/registry/registry-diff.js'

const { steps } = JSON.parse(
  readFileSync(new URL('../compat/vectors/registry.json', import.meta.url), 'utf8'),
) as { steps: readonly { after: string; file: string }[] }

/** The definitions behind the recorded registries, in the repo's own words. */
function recordedDefinitions(ttl: string, extra: boolean): readonly Definition[] {
  const driver = entity({
    name: 'driver',
    joinKey: 'driver_id',
    valueType: Int64,
    description: 'a driver',
    tags: { k: 'v' },
    owner: 'me@x.org',
  })
  const driverSource = fileSource({
    name: 'driver_src',
    path: 'data/driver.parquet',
    timestampField: 'event_timestamp',
    createdTimestampColumn: 'created',
  })
  const globalSource = fileSource({
    name: 'global_src',
    path: 'data/global.parquet',
    timestampField: 'event_timestamp',
  })
  const push = pushSource({ name: 'driver_push', batchSource: driverSource })
  const schema = {
    conv_rate: { type: Float32, description: 'c', tags: { t: 'u' } },
    tags: ArrayOf(StringType),
    ...(extra && { extra: Struct({ a: Int64, b: ArrayOf(StringType) }) }),
  }
  const driverStats = featureView({
    name: 'driver_stats',
    entities: [driver],
    schema,
    source: push,
    ttl,
    description: 'stats',
    tags: { team: 'x' },
    owner: 'o',
  })
  const globalStats = featureView({ name: 'global_stats', schema: { total: Int64 }, source: globalSource })
  return [
    project({ name: 'demo', description: 'p', tags: { q: 'r' }, owner: 'w' }),
    globalSource,
    driverSource,
    push,
    driver,
    DUMMY_ENTITY,
    driverStats,
    globalStats,
    featureService({
      name: 'svc',
      features: [pick(driverStats, 'conv_rate'), rename(globalStats, 'g')],
      tags: { a: 'b' },
    }),
    featureService({
      name: 'svc_alias',
      features: [mapJoinKeys(rename(driverStats, 'd2'), { driver_id: 'driver2_id' })],
    }),
  ]
}

let ids = 0
const options: DiffOptions = { project: 'demo', now: 1_800_000_000_000_000n, newId: () => `id-${++ids}` }
const stamp = { versionId: 'v', now: options.now }

function registryOf(bytes: Uint8Array): Registry {
  return createRegistry({ version: '1', records: decodeRegistryFile(bytes).records })
}

function applied(
  bytes: Uint8Array | undefined,
  definitions: readonly Definition[],
  more?: Partial<DiffOptions>,
) {
  const before = bytes && registryOf(bytes)
  const diff = diffRegistry(before, definitions, { ...options, ...more })
  return { diff, bytes: encodeRegistryFile(bytes, diff.changes, stamp) }
}

function recorded(after: string): Uint8Array {
  return Buffer.from(steps.find((step) => step.after.startsWith(after))!.file, 'hex')
}

const TIMES = new Set(['createdTimestamp', 'lastUpdatedTimestamp', 'versionId', 'dataSourceClassType'])

/** Without times and ids, and with a version's record opened. */
function comparable(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(comparable)
  if (json === null || typeof json !== 'object') return json
  const entries = Object.entries(json).filter(([key]) => !TIMES.has(key))
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      key === 'featureViewProto' ? comparable(recordJson(versionOf(value as string))) : comparable(value),
    ]),
  )
}

function versionOf(base64: string): Pick<RegistryRecord, 'kind' | 'bytes'> {
  return { kind: 'featureView', bytes: Buffer.from(base64, 'base64') }
}

function contents(bytes: Uint8Array): ReadonlyMap<string, unknown> {
  const records = decodeRegistryFile(bytes).records.filter(({ kind }) => kind !== 'permission')
  const named = records.map((record): [string, unknown] => [
    `${record.kind} ${record.name}`,
    comparable(recordJson(record)),
  ])
  return new Map(named.sort(([a], [b]) => (a < b ? -1 : 1)))
}

describe('apply', () => {
  it('writes what Feast writes into an empty registry', () => {
    const { bytes, diff } = applied(undefined, recordedDefinitions('1d', false))
    expect(contents(bytes)).toEqual(contents(recorded('apply')))
    expect(diff.objects.map(({ action, kind, name }) => `${action} ${kind} ${name}`)).toMatchSnapshot()
  })

  it('changes nothing that is as it was, in our registry and in Feast’s', () => {
    const first = applied(undefined, recordedDefinitions('1d', false)).bytes
    for (const bytes of [first, recorded('apply'), recorded('materialization')]) {
      const { diff } = applied(bytes, recordedDefinitions('1d', false))
      expect(diff.objects).toEqual([])
      expect(diff.changes).toEqual([])
    }
  })

  it('writes a change of ttl as Feast does, without a new version', () => {
    const { bytes, diff } = applied(recorded('materialization'), recordedDefinitions('2d', false))
    expect(contents(bytes)).toEqual(contents(recorded('apply with another ttl')))
    expect(diff.objects).toEqual([
      {
        action: 'update',
        kind: 'featureView',
        name: 'driver_stats',
        fields: [{ field: 'ttl', from: '1d', to: '2d' }],
      },
    ])
  })

  it('writes a new feature as Feast does, as version 1', () => {
    const { bytes, diff } = applied(recorded('apply with another ttl'), recordedDefinitions('2d', true))
    expect(contents(bytes)).toEqual(contents(recorded('apply with one more feature')))
    expect(diff.objects).toMatchSnapshot()
  })
})
