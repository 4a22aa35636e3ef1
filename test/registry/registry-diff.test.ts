import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { editViewState } from '../../src/codec/definitions/view-state.js'
import { decodeMessage, encodeMessage } from '../../src/codec/proto.js'
import { decodeRegistryFile, encodeRegistryFile } from '../../src/codec/registry-file.js'
import { recordJson } from '../../src/codec/registry-json.js'
import { encodeTextField } from '../../src/codec/wire.js'
import { fileSource, pushSource, requestSource } from '../../src/core/data-source.js'
import type { Definition, RegistryRecord } from '../../src/core/definition.js'
import { DUMMY_ENTITY, entity } from '../../src/core/entity.js'
import { featureService } from '../../src/core/feature-service.js'
import { featureView } from '../../src/core/feature-view.js'
import type { Schema } from '../../src/core/field.js'
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

/** One view, its entity and its project; the schema and options vary. */
function small(schema: Schema, more: Partial<Parameters<typeof featureView>[0]> = {}): readonly Definition[] {
  const user = entity({ name: 'user', valueType: Int64 })
  const source = fileSource({ name: 'src', path: 'x.parquet', timestampField: 'ts' })
  return [
    project({ name: 'demo' }),
    source,
    user,
    DUMMY_ENTITY,
    featureView({ name: 'v', entities: [user], schema, source, ...more }),
  ]
}

function viewOf(bytes: Uint8Array) {
  const registry = registryOf(bytes)
  return {
    view: registry.view('demo', 'v'),
    state: registry.viewState('demo', 'v'),
    versions: registry.recordsOf('demo', 'featureViewVersion').map(({ name }) => name),
  }
}

function materialized(bytes: Uint8Array): Uint8Array {
  const record = registryOf(bytes).record({ kind: 'featureView', project: 'demo', name: 'v' })!
  const edited = editViewState('featureView', record.bytes, {
    now: 5n,
    addInterval: { start: 1n, end: 2n },
    lifecycle: 'AVAILABLE_ONLINE',
  })
  return encodeRegistryFile(bytes, [{ put: { ...record, bytes: edited } }], stamp)
}

const refs = (keys: readonly { kind: string; name: string }[]) =>
  keys.map(({ kind, name }) => `${kind} ${name}`)

describe('orphans (R4)', () => {
  const [demo] = recordedDefinitions('1d', false)

  it('are named and left alone', () => {
    const { diff } = applied(recorded('apply'), [demo!])
    expect(diff.changes).toEqual([])
    expect(refs(diff.orphans)).toEqual([
      'dataSource global_src',
      'dataSource driver_src',
      'dataSource driver_push',
      'entity driver',
      'featureView driver_stats',
      'featureView global_stats',
      'featureService svc',
      'featureService svc_alias',
      'permission p1',
    ])
  })

  it('go with their history when pruned; the dummy entity and the project stay', () => {
    const { diff, bytes } = applied(recorded('apply with one more'), [demo!], { prune: true })
    expect(diff.objects.every(({ action }) => action === 'delete')).toBe(true)
    expect(refs(decodeRegistryFile(bytes).records)).toEqual(['entity __dummy', 'project demo'])
  })

  it('of other projects are none of ours', () => {
    const { bytes } = applied(recorded('apply'), [project({ name: 'other' })], {
      project: 'other',
      prune: true,
    })
    expect(registryOf(bytes).storedViews('demo')).toHaveLength(2)
    expect(registryOf(bytes).projects).toEqual(['demo', 'other'])
  })
})

describe('versions (spec 4.6)', () => {
  const first = applied(undefined, small({ a: Int64 })).bytes

  it('begin at 0', () => {
    expect(viewOf(first)).toMatchObject({ state: { versionNumber: 0 }, versions: ['v@v0'] })
  })

  it('count on with the schema; intervals stay, the state starts again', () => {
    const { bytes } = applied(materialized(first), small({ a: Int64, b: Int64 }))
    expect(viewOf(bytes)).toMatchObject({
      state: {
        versionNumber: 1,
        lifecycle: 'STATE_UNSPECIFIED',
        intervals: [{ start: 1n, end: 2n }],
        createdAt: options.now,
      },
      versions: ['v@v0', 'v@v1'],
    })
    const old = registryOf(bytes).viewAtVersion('demo', 'v', 0)
    expect(old.features.map(({ name }) => name)).toEqual(['a'])
  })

  it.each<[string, Partial<Parameters<typeof featureView>[0]>]>([
    ['ttl', { ttl: '3d' }],
    ['tags', { tags: { x: 'y' } }],
    ['a description', { description: 'd' }],
    ['online', { online: false }],
    ['enabled', { enabled: false }],
    ['the source', { source: fileSource({ name: 'src2', path: 'y.parquet', timestampField: 'ts' }) }],
  ])('do not count %s; state and intervals stay', (_what, more) => {
    const { bytes, diff } = applied(materialized(first), small({ a: Int64 }, more))
    expect(diff.objects.filter(({ kind }) => kind === 'featureView')).toHaveLength(1)
    expect(viewOf(bytes)).toMatchObject({
      state: { versionNumber: 0, lifecycle: 'AVAILABLE_ONLINE', intervals: [{ start: 1n, end: 2n }] },
      versions: ['v@v0'],
    })
  })

  it('do not count another order of features, and write nothing for it', () => {
    const two = applied(undefined, small({ a: Int64, b: Int64 })).bytes
    expect(applied(two, small({ b: Int64, a: Int64 })).diff.changes).toEqual([])
  })

  it('are recorded and not made active with noPromote', () => {
    const { bytes } = applied(first, small({ a: Int64, b: Int64 }), { noPromote: true })
    expect(viewOf(bytes)).toMatchObject({ state: { versionNumber: 0 }, versions: ['v@v0', 'v@v1'] })
    expect(viewOf(bytes).view.features).toHaveLength(1)
  })

  it('are restored by a pin, again and again the same', () => {
    const second = applied(materialized(first), small({ a: Int64, b: Int64 })).bytes
    const pinned = applied(second, small({ a: Int64, b: Int64 }, { version: 'v0' }))
    expect(pinned.diff.objects).toMatchObject([{ fields: [{ field: 'version', from: 'v1', to: 'v0' }] }])
    expect(viewOf(pinned.bytes).view.features.map(({ name }) => name)).toEqual(['a'])
    expect(viewOf(pinned.bytes).state).toMatchObject({
      versionNumber: 0,
      intervals: [{ start: 1n, end: 2n }],
    })
    expect(applied(pinned.bytes, small({ a: Int64, b: Int64 }, { version: 'v0' })).diff.changes).toEqual([])
  })

  it('refuse a pin and an edit at once', () => {
    expect(() => applied(first, small({ a: Int64, c: Int64 }, { version: 'v0' }))).toThrow(
      expect.objectContaining({ code: 'VIEW_PIN_CONFLICT' }),
    )
    expect(() => applied(first, small({ a: Int64 }, { version: 'newest' }))).toThrow(
      '"newest" is not a version',
    )
  })

  it('take a number that is not there yet', () => {
    const { bytes } = applied(first, small({ a: Int64, b: Int64 }, { version: 'version5' }))
    expect(viewOf(bytes)).toMatchObject({ state: { versionNumber: 5 }, versions: ['v@v0', 'v@v5'] })
  })
})

describe('what others wrote', () => {
  it('stays: unknown fields, and settings that have no words here', () => {
    const { bytes } = applied(undefined, small({ a: Int64 }))
    const stored = registryOf(bytes).record({ kind: 'featureView', project: 'demo', name: 'v' })!
    const { spec, meta } = decodeMessage('feast.core.FeatureView', stored.bytes)
    const [a] = spec!.features!
    const edited = encodeMessage('feast.core.FeatureView', {
      meta,
      spec: {
        ...spec,
        org: 'org',
        enableValidation: true,
        features: [{ ...a, vectorIndex: true, vectorLength: 3 }],
      },
    })
    const python = Buffer.concat([edited, encodeTextField(700, 'later')])
    const before = encodeRegistryFile(bytes, [{ put: { ...stored, bytes: python } }], stamp)
    expect(applied(before, small({ a: Int64 })).diff.changes).toEqual([])
    const after = registryOf(applied(before, small({ a: Int64, b: Int64 }, { ttl: 5 })).bytes).record(stored)!
    expect(Buffer.from(after.bytes).includes(encodeTextField(700, 'later'))).toBe(true)
    expect(recordJson(after)).toMatchObject({
      spec: {
        org: 'org',
        enableValidation: true,
        ttl: '5s',
        features: [{ name: 'a', vectorIndex: true }, { name: 'b' }],
      },
    })
  })

  it('is written anew where it cannot be decoded', () => {
    const { bytes } = applied(undefined, small({ a: Int64 }))
    const stored = registryOf(bytes).record({ kind: 'featureView', project: 'demo', name: 'v' })!
    const put = { ...stored, bytes: Buffer.concat([stored.bytes, Buffer.from([0x0a, 0x7f])]) }
    const broken = {
      version: '1',
      records: decodeRegistryFile(bytes).records.map((one) => (one.name === 'v' ? put : one)),
    }
    const diff = diffRegistry(createRegistry(broken), small({ a: Int64 }), options)
    expect(diff.objects).toEqual([
      {
        action: 'update',
        kind: 'featureView',
        name: 'v',
        fields: [{ field: 'record', from: 'unreadable', to: 'written anew' }],
      },
    ])
  })
})

describe('on demand views', () => {
  const request = requestSource({ name: 'req', schema: { amount: Int64 } })
  const twice = (code: () => { readonly out: bigint | null }) =>
    onDemandFeatureView({ name: 'od', sources: [request], schema: { out: Int64 }, transform: code })

  it('get a version for another function, and none for the same', () => {
    const one = applied(undefined, [project({ name: 'demo' }), twice(() => ({ out: 1n }))]).bytes
    const versions = (bytes: Uint8Array) => registryOf(bytes).recordsOf('demo', 'featureViewVersion').length
    expect(applied(one, [project({ name: 'demo' }), twice(() => ({ out: 1n }))]).diff.changes).toEqual([])
    const { bytes, diff } = applied(one, [project({ name: 'demo' }), twice(() => ({ out: 2n }))])
    expect(versions(bytes)).toBe(2)
    expect(diff.objects[0]!.fields.map(({ field }) => field)).toEqual([
      'feature_transformation.user_defined_function.body_text',
    ])
  })
})
