import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import {
  decodeDefinition,
  encodeDefinition,
  isDefinitionKind,
  MESSAGE_NAMES,
} from '../../src/codec/definitions/definition-codec.js'
import { decodeMessage, encodeMessage, isMessage, shapeOf } from '../../src/codec/proto.js'
import { decodeRegistryFile } from '../../src/codec/registry-file.js'
import { recordJson } from '../../src/codec/registry-json.js'
import type { RegistryRecord } from '../../src/core/definition.js'
import type { AnyView } from '../../src/core/projection.js'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const { steps } = JSON.parse(
  readFileSync(new URL('../compat/vectors/registry.json', import.meta.url), 'utf8'),
) as { steps: readonly { after: string; file: string; decoded: Json }[] }

/** JSON with the names of the .proto files as JSON with camelCase names. */
function camelCase(type: string, json: Json): Json {
  const source = json as { readonly [key: string]: Json }
  if (!isMessage(type) || json === null || typeof json !== 'object' || type.startsWith('google.')) return json
  return Object.fromEntries(
    shapeOf(type).fields.flatMap((field): [string, Json][] => {
      const value = source[field.protoName]
      if (value === undefined) return []
      if (field.map || !isMessage(field.type)) return [[field.name, value]]
      return [
        [
          field.name,
          Array.isArray(value)
            ? value.map((one) => camelCase(field.type, one))
            : camelCase(field.type, value),
        ],
      ]
    }),
  )
}

const sections: Readonly<Record<string, string>> = {
  entity: 'entities',
  featureView: 'feature_views',
  featureService: 'feature_services',
  dataSource: 'data_sources',
  permission: 'permissions',
  project: 'projects',
}

function recordedJson(decoded: Json, { kind }: RegistryRecord): readonly Json[] {
  const registry = decoded as { readonly [key: string]: Json }
  const history = registry['feature_view_version_history'] as { records: readonly Json[] }
  const list =
    kind === 'featureViewVersion' ? history.records : (registry[sections[kind]!] as readonly Json[])
  return list.map((one) => camelCase(MESSAGE_NAMES[kind], one))
}

describe.each(steps)('records Feast wrote: $after', ({ file, decoded }) => {
  const { records } = decodeRegistryFile(Buffer.from(file, 'hex'))
  const views = new Map(
    records
      .filter(({ kind }) => kind === 'featureView')
      .map(({ name, bytes }) => [name, decodeDefinition('featureView', bytes) as AnyView]),
  )
  const context = { project: 'demo', now: 0n, findView: (name: string) => views.get(name) }

  it('decode to what Feast decodes them to', () => {
    for (const record of records) expect(recordedJson(decoded, record)).toContainEqual(recordJson(record))
  })

  it('encode to the same bytes', () => {
    for (const { kind, bytes } of records) {
      const again = encodeMessage(MESSAGE_NAMES[kind], decodeMessage(MESSAGE_NAMES[kind], bytes))
      expect(again.toString('hex')).toBe(Buffer.from(bytes).toString('hex'))
    }
  })

  it('do not change when their own definition is applied', () => {
    for (const { kind, bytes } of records) {
      if (!isDefinitionKind(kind)) continue
      const encoded = encodeDefinition(decodeDefinition(kind, bytes), context, bytes)
      expect(encoded.differences).toEqual([])
      expect(encoded.bytes).toBe(bytes)
    }
  })
})
