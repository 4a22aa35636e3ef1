import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { encodeDefinition } from '../../src/codec/definitions/definition-codec.js'
import { decodeRegistryFile } from '../../src/codec/registry-file.js'
import { describeJson, dumpJson, recordJson } from '../../src/codec/registry-json.js'
import { encodeBytesField } from '../../src/codec/wire.js'
import { requestSource } from '../../src/core/data-source.js'
import type { RecordKind, RegistryRecord } from '../../src/core/definition.js'
import { onDemandFeatureView } from '../../src/core/on-demand-feature-view.js'
import { Float64 } from '../../src/core/value-type.js'

const { file } = JSON.parse(
  readFileSync(new URL('../compat/vectors/registry-all-kinds.json', import.meta.url), 'utf8'),
) as { file: string }
const { records } = decodeRegistryFile(Buffer.from(file, 'hex'))

function find(kind: RecordKind, name: string): RegistryRecord {
  return records.find((record) => record.kind === kind && record.name === name)!
}

type Transformed = { spec: { featureTransformation: { userDefinedFunction: { body: string } } } }

describe('describe', () => {
  it('leaves out the project, and the class of a source', () => {
    expect(describeJson(find('entity', 'driver'))).toEqual({
      spec: {
        name: 'driver',
        valueType: 'INT64',
        joinKey: 'driver_id',
        tags: { '1': 'a', '2': 'b' },
        owner: 'é',
      },
      meta: {},
    })
    expect(Object.keys(describeJson(find('dataSource', 'file')))).not.toContain('dataSourceClassType')
    expect(JSON.stringify(describeJson(find('dataSource', 'file')))).not.toContain('"project"')
  })

  it.each(['od_pandas', 'od_python'])('shows the source of %s in place of its pickle', (name) => {
    const { spec } = describeJson(find('onDemandFeatureView', name)) as unknown as Transformed
    expect(spec.featureTransformation.userDefinedFunction.body).toContain(
      name === 'od_pandas' ? 'return df' : "{'o2'",
    )
  })

  it('shows TypeScript', () => {
    const view = onDemandFeatureView({
      name: 'twice',
      sources: [requestSource({ name: 'req', schema: { amount: Float64 } })],
      schema: { out: Float64 },
      transform: ({ amount }) => ({ out: amount === null ? null : amount * 2 }),
    })
    const { bytes } = encodeDefinition(view, { project: 'p', now: 0n, findView: () => undefined })
    const { spec } = describeJson({
      kind: 'onDemandFeatureView',
      project: 'p',
      name: 'twice',
      bytes,
    }) as unknown as Transformed
    expect(spec.featureTransformation.userDefinedFunction.body).toBe(view.transformation.text)
  })
})

describe('dump', () => {
  const dump = dumpJson(records, 'p')

  it('has a sorted key for every kind and sorted names in it', () => {
    const keys = Object.keys(dump)
    expect(keys).toEqual([...keys].sort())
    expect(keys).toEqual(
      expect.arrayContaining([
        'project',
        'onDemandFeatureViews',
        'streamFeatureViews',
        'labelViews',
        'infra',
      ]),
    )
    const names = (dump['entities'] as readonly { spec: { name: string } }[]).map(({ spec }) => spec.name)
    expect(names).toEqual(['cust', 'driver'])
  })

  it('lists infra as its objects', () => {
    expect(dump['infra']).toEqual([
      { name: 'p_fv', path: '/x/o.db' },
      { name: 'p_fv', namespace: 'ns', project: 'p' },
    ])
  })

  it('leaves other projects out', () => {
    expect(Object.keys(dumpJson(records, 'other'))).toEqual(['infra', 'project'])
  })

  it('names a record that cannot be decoded', () => {
    const bytes = encodeBytesField(1, Buffer.from([0x0a, 0x7f]))
    const broken: RegistryRecord = { kind: 'entity', project: 'p', name: 'bad', bytes }
    const { entities } = dumpJson([...records, broken], 'p') as { entities: readonly { name?: string }[] }
    expect(entities[0]).toEqual({
      name: 'bad',
      unreadable: 'field 1 needs 127 bytes, but 0 are left at byte 4',
    })
    expect(() => recordJson(broken)).toThrow()
  })
})
