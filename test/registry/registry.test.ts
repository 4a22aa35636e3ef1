import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { decodeRegistryFile } from '../../src/codec/registry-file.js'
import { encodeBytesField, encodeTextField } from '../../src/codec/wire.js'
import type { RegistryRecord } from '../../src/core/definition.js'
import { createRegistry } from '../../src/registry/registry.js'

const { file } = JSON.parse(
  readFileSync(new URL('../compat/vectors/registry-all-kinds.json', import.meta.url), 'utf8'),
) as { file: string }
const { records } = decodeRegistryFile(Buffer.from(file, 'hex'))
const registry = createRegistry({ version: '7', records })

/** A view named `bad` whose spec is cut short after its name. */
const broken: RegistryRecord = {
  kind: 'featureView',
  project: 'p',
  name: 'bad',
  bytes: encodeBytesField(1, Buffer.concat([encodeTextField(1, 'bad'), Buffer.from([0x22, 0x50])])),
}

describe('registry', () => {
  it('lists what it holds, once decoded', () => {
    expect(registry.version).toBe('7')
    expect(registry.projects).toEqual(['p'])
    expect(registry.entities('p').map(({ name }) => name)).toEqual(['driver', 'cust'])
    expect(registry.entities('p')).toBe(registry.entities('p'))
    expect(registry.entity('p', 'driver')).toBe(registry.entities('p')[0])
    expect(registry.dataSources('p')).toHaveLength(12)
    expect(registry.storedViews('p').map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'featureView fv',
      'featureView fv_push',
      'featureView fv_bq',
      'featureView fv_kin',
      'featureView bfv',
      'streamFeatureView sfv',
      'streamFeatureView sfv_push',
      'labelView lab',
    ])
    expect(registry.onDemandFeatureViews('p')).toHaveLength(5)
    expect(registry.featureServices('p').map(({ name }) => name)).toEqual(['svc'])
    expect(registry.recordsOf('p', 'permission').map(({ name }) => name)).toEqual(['perm'])
    expect(registry.permissions('p').map(({ name }) => name)).toEqual(['perm'])
    expect(registry.broken()).toEqual([])
  })

  it('keeps projects apart', () => {
    expect(registry.entities('other')).toEqual([])
    expect(() => registry.entity('other', 'driver')).toThrow('Entity "driver" is not in project "other"')
  })

  it.each([
    ['view', () => registry.view('p', 'fv_pusj'), 'FEATURE_VIEW_NOT_FOUND', 'Did you mean "fv_push"?'],
    ['entity', () => registry.entity('p', 'drive'), 'ENTITY_NOT_FOUND', 'Did you mean "driver"?'],
    ['source', () => registry.dataSource('p', 'kafk'), 'DATA_SOURCE_NOT_FOUND', 'Did you mean "kafka"?'],
    [
      'service',
      () => registry.featureService('p', 'svcs'),
      'FEATURE_SERVICE_NOT_FOUND',
      'Did you mean "svc"?',
    ],
    ['state', () => registry.viewState('p', 'f'), 'FEATURE_VIEW_NOT_FOUND', 'is not in project "p"'],
    ['version', () => registry.viewAtVersion('p', 'fv', 9), 'VIEW_VERSION_NOT_FOUND', 'has no version v9'],
  ])('names the nearest of a missing %s', (_what, ask, code, message) => {
    expect(ask).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }))
  })

  it('finds a view of whatever kind', () => {
    for (const name of ['fv', 'sfv', 'od_python', 'lab']) expect(registry.view('p', name).name).toBe(name)
    expect(registry.findView('p', 'none')).toBeUndefined()
    expect(registry.viewState('p', 'fv')).toMatchObject({ lifecycle: 'AVAILABLE_ONLINE', versionNumber: 3 })
    expect(registry.viewState('p', 'od_python')).toMatchObject({
      lifecycle: 'STATE_UNSPECIFIED',
      intervals: [],
    })
  })

  it('finds a view as it was at a version', () => {
    expect(registry.viewAtVersion('p', 'fv', 2)).toEqual(registry.view('p', 'fv'))
  })

  it('serves the rest when a record cannot be decoded (R3)', () => {
    const damaged = createRegistry({ version: '8', records: [broken, ...records] })
    expect(damaged.storedViews('p')).toEqual(registry.storedViews('p'))
    expect(damaged.broken().map(({ key, error }) => [key, error.code])).toEqual([
      [{ kind: 'featureView', project: 'p', name: 'bad' }, 'RECORD_UNREADABLE'],
    ])
    expect(() => damaged.view('p', 'bad')).toThrow(
      'The registry\'s feature view "bad" of project "p" cannot be decoded (field 4 needs 80 bytes, but 0 are left at byte 9)',
    )
    expect(() => damaged.viewState('p', 'bad')).toThrow(
      expect.objectContaining({ code: 'RECORD_UNREADABLE' }),
    )
  })

  it('takes the first of two records with one name, as Feast does', () => {
    const [driver] = records
    const twice = createRegistry({
      version: '1',
      records: [driver!, { ...driver!, bytes: Buffer.from(driver!.bytes) }],
    })
    expect(twice.record(driver!)).toBe(driver)
  })
})
