import { readFileSync } from 'node:fs'
import { expect, it } from '@jest/globals'
import { decodeDefinition, encodeDefinition } from '../../src/codec/definitions/definition-codec.js'
import { resourceTypesOf } from '../../src/codec/definitions/permission.js'
import { decodeRegistryFile } from '../../src/codec/registry-file.js'
import { type Caller, denialOf, type Resource } from '../../src/core/access-decision.js'
import {
  type Action,
  ALL_ACTIONS,
  type Permission,
  type PermissionOptions,
  permission,
  RESOURCE_TYPES,
  type ResourceType,
} from '../../src/core/permission.js'
import { pythonPattern } from '../../src/core/python-pattern.js'
import { type Random, seededRandom } from './random.js'
import { describeWithRealFeast } from './real-feast.js'

type Types = Resource['types']

function someOf<T>(random: Random, items: readonly T[], most = items.length): T[] {
  return random.times(random.int(0, most), () => random.pick(items))
}

const NAMES = [
  'driver_stats',
  'driver',
  'Driver',
  'trips_v2',
  'fahrer_größe',
  'a.b',
  '',
  'a-b c',
  '司机',
  'x\ny',
]
const HOLDERS = ['a', 'b', 'c', 'admin']
const PATTERNS = [
  'driver',
  'driver.*',
  '.*_stats',
  '(?i)driver',
  '[a-z_]+',
  '\\w+',
  '.*\\d',
  '(?P<kind>driver|trips)_.+',
  'a.b',
  '^driver_stats$',
  '',
  ' driver ',
]

function randomPermission(random: Random): Permission {
  const names = () => someOf(random, HOLDERS, 3)
  const policies: readonly PermissionOptions['policy'][] = [
    { roles: names() },
    { groups: names() },
    { namespaces: names() },
    { groups: names(), namespaces: names() },
  ]
  const tags = (): Record<string, string> => (random.chance(0.3) ? { t: random.pick(['x', 'y']) } : {})
  return permission({
    name: `p${random.int(0, 9)}`,
    types: random.chance(0.2) ? [] : someOf(random, RESOURCE_TYPES, 4),
    namePatterns: random.chance(0.4) ? [] : someOf(random, PATTERNS, 3),
    actions: random.chance(0.2) ? ALL_ACTIONS : [random.pick(ALL_ACTIONS), ...someOf(random, ALL_ACTIONS, 4)],
    policy: random.pick(policies),
    requiredTags: tags(),
    tags: tags(),
  })
}

function bytesOf(one: Permission, project = ''): Uint8Array {
  return encodeDefinition(one, { project, now: 0n, findView: () => undefined }).bytes
}

interface Case {
  readonly permissions: readonly Permission[]
  readonly user: Caller
  readonly resource: {
    readonly type: ResourceType
    readonly name: string
    readonly tags: Record<string, string>
  }
  readonly actions: readonly Action[]
}

function randomCase(random: Random): Case {
  return {
    permissions: random.times(random.chance(0.1) ? 0 : random.int(1, 4), () => randomPermission(random)),
    user: {
      name: random.chance(0.1) ? '' : 'somebody',
      roles: someOf(random, HOLDERS, 2),
      groups: someOf(random, HOLDERS, 2),
      namespaces: someOf(random, HOLDERS, 2),
    },
    resource: {
      type: random.pick(RESOURCE_TYPES),
      name: random.pick(NAMES),
      tags: random.chance(0.5) ? {} : { t: random.pick(['x', 'y', 'z']) },
    },
    actions: random.times(random.int(1, 2), () => random.pick(ALL_ACTIONS)),
  }
}

describeWithRealFeast('permissions against real Feast', (feast) => {
  it('decides 2000 random cases as Feast does', async () => {
    const random = seededRandom('permissions')
    const cases = random.times(2000, () => randomCase(random))
    const types = await feast().call<Record<ResourceType, Types>>('resource_types')
    const theirs = await feast().call<boolean[]>('decisions', {
      cases: cases.map(({ permissions, ...rest }) => ({
        ...rest,
        permissions: permissions.map((one) => Buffer.from(bytesOf(one)).toString('hex')),
      })),
    })
    const ours = cases.map(({ permissions, user, resource: { type, name, tags }, actions }) => {
      const rules = { isOpen: permissions.length === 0, permissions }
      const resource = { name, types: types[type], ...(type === 'Permission' ? { requiredTags: tags } : {}) }
      return denialOf(rules, user, resource, actions) === undefined
    })
    const wrong = cases.filter((_, i) => ours[i] !== theirs[i])
    expect(wrong).toEqual([])
    const granted = theirs.filter(Boolean).length
    expect(granted).toBeGreaterThan(80)
    expect(granted).toBeLessThan(1920)
  })

  it('reads and writes 500 random permissions as the same bytes', async () => {
    const random = seededRandom('permission bytes')
    const permissions = random.times(500, () => randomPermission(random))
    const hexes = permissions.map((one) => Buffer.from(bytesOf(one)).toString('hex'))
    const theirs = await feast().call<string[]>('permission_bytes', { hexes })
    expect(hexes).toEqual(theirs)
    const again = theirs.map((hex) => decodeDefinition('permission', Buffer.from(hex, 'hex')))
    expect(again).toEqual(permissions)
  })

  it('knows the classes of objects', async () => {
    const types = await feast().call<Record<string, Types>>('resource_types')
    const everything = JSON.parse(
      readFileSync(new URL('vectors/registry-all-kinds.json', import.meta.url), 'utf8'),
    ) as { readonly file: string }
    const { records } = decodeRegistryFile(Buffer.from(everything.file, 'hex'))
    const chains = records.flatMap((record) => {
      const chain = resourceTypesOf(record)
      return chain ? [[`${record.kind} ${record.name}`, chain] as const] : []
    })
    for (const [name, chain] of chains) expect([name, chain]).toEqual([name, types[chain[0]]])
    expect(new Set(chains.map(([, [type]]) => type))).toEqual(new Set(RESOURCE_TYPES))
  })

  it('matches names with random patterns as Python does', async () => {
    const random = seededRandom('patterns')
    const pairs = random.times(8000, () => [randomPattern(random), random.pick(TEXTS)] as const)
    const theirs = await feast().call<(boolean | string)[]>('fullmatch', { pairs })
    const wrong: object[] = []
    let matched = 0
    for (const [i, [pattern, text]] of pairs.entries()) {
      const compiled = pythonPattern(pattern)
      const ours = compiled instanceof RegExp ? compiled.test(text) : compiled
      if (ours === true) matched++
      const isRefused = typeof ours === 'string' && BEYOND_US.test(pattern)
      // What Python refuses may be a pattern here, but must not match by chance.
      const isSame = typeof theirs[i] === 'string' ? ours !== true : ours === theirs[i]
      if (!isSame && !isRefused) wrong.push({ pattern, text, ours, theirs: theirs[i] })
    }
    expect(wrong).toEqual([])
    expect(matched).toBeGreaterThan(150)
  })
})

/** What `pythonPattern` says that it does not translate. */
const BEYOND_US = /[*+?}]\+|\(\?#|\(\?x|\\1|\(\?P=|\(\?<?[=!].\)[*+?{]/

const TEXTS = [
  '',
  'a',
  'ab',
  'abc',
  'aB1_',
  'A',
  'a\n',
  'ä',
  'é',
  '٣',
  'a b',
  'a.b',
  '😀',
  'x😀',
  '[a]',
  'a-c',
  '{1}',
  '\t',
  '_',
  'ß',
]
const ATOMS = [
  'a',
  'b',
  'A',
  '.',
  '\\.',
  '\\w',
  '\\W',
  '\\d',
  '\\D',
  '\\s',
  '\\S',
  '\\b',
  '\\B',
  '[a-c]',
  '[^a]',
  '[]a]',
  '[^]b]',
  '[\\w.-]',
  '[\\W_]',
  '[a\\-c]',
  '[-a]',
  '[a-]',
  '[\\]\\[]',
  '[&&a]',
  '[a--c]',
  '\\x61',
  '\\u0061',
  '\\U0001F600',
  '\\101',
  '\\n',
  '\\t',
  '\\-',
  '\\_',
  '{',
  '}',
  '{1}',
  ']',
  '-',
  '/',
  '&',
  '😀',
  '[😀a]',
  'ä',
  '^',
  '$',
  '\\A',
  '\\Z',
  '(?:a|b)',
  '(a)',
  '(?P<n>a)',
  '(?=a)',
  '(?!b)',
  '(?<=a)',
  '(?<!b)',
  '(?#note)',
  '|',
  ' ',
  '\\ ',
  '\\0',
  '[\\b]',
  '[\\d-z]',
  '[z-a]',
  '\\q',
  '\\1',
  '(?P=n)',
  '(',
  ')',
  '[',
]
const QUANTIFIERS = [
  '',
  '',
  '',
  '*',
  '+',
  '?',
  '*?',
  '+?',
  '??',
  '{2}',
  '{1,}',
  '{,2}',
  '{1,2}',
  '{1,2}?',
  '{,}',
  '{}',
  '{a}',
]
const FLAGS = ['', '', '', '', '(?i)', '(?s)', '(?m)', '(?a)', '(?is)', '(?x)', '(?u)']

function randomPattern(random: Random): string {
  const parts = random.times(random.int(1, 4), () => random.pick(ATOMS) + random.pick(QUANTIFIERS))
  return random.pick(FLAGS) + parts.join('')
}
