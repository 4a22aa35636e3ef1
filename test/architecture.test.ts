import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { temporaryFolder } from './temporary-folder.js'

/** Lower layers first. An import points to a lower layer; folders on one layer do not know each other. */
const LAYERS = [
  ['core'],
  ['codec'],
  ['client'],
  ['object-stores', 'config'],
  ['registry', 'online-stores', 'offline-stores'],
  ['serving', 'compute-engines'],
  ['feature-store'],
  ['training', 'models'],
  ['server'],
  ['cli'],
]

/** Families: a folder in one of them is a backend, loaded only by the family's index.ts with import(). */
const FAMILIES = [
  'object-stores',
  'registry',
  'online-stores',
  'offline-stores',
  'compute-engines',
  'training',
]
/** Not a backend: what the SQL warehouses of the family share. */
const SHARED = ['offline-stores/sql', 'training/asl']

interface Import {
  readonly from: string
  readonly to: string
  readonly dynamic: boolean
  readonly typeOnly: boolean
}

function sourceFiles(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'))
    .sort()
}

const STATIC = /(?:^|\n)\s*(import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?'(\.[^']+)'/g
const DYNAMIC = /\bimport\(\s*'(\.[^']+)'\s*\)/g

function importsOf(root: string, from: string): readonly Import[] {
  const text = readFileSync(join(root, from), 'utf8')
  const target = (path: string) => posix.join(posix.dirname(from), path).replace(/\.js$/, '.ts')
  const found = (path: string, dynamic: boolean, typeOnly: boolean) => ({
    from,
    to: target(path),
    dynamic,
    typeOnly,
  })
  return [
    ...[...text.matchAll(STATIC)].map(([, , type, path]) => found(path!, false, type !== undefined)),
    ...[...text.matchAll(DYNAMIC)].map(([, path]) => found(path!, true, false)),
  ]
}

const folderOf = (file: string) => file.split('/')[0]!
const layerOf = (file: string) => LAYERS.findIndex((folders) => folders.includes(folderOf(file)))

/** `online-stores/sqlite` of a file in a backend's folder. */
function backendOf(file: string): string | undefined {
  const [family, backend, ...rest] = file.split('/')
  const path = `${family}/${backend}`
  return rest.length > 0 && FAMILIES.includes(family!) && !SHARED.includes(path) ? path : undefined
}

/** What is wrong with the imports of a source tree, one line each. */
function faultsOf(root: string): readonly string[] {
  const files = sourceFiles(root)
  const imports = files.flatMap((file) => importsOf(root, file))
  const faults = [
    ...files
      .filter((file) => file !== 'index.ts' && layerOf(file) < 0)
      .map((file) => `${file} is on no layer`),
    ...imports
      .filter(({ to }) => !files.includes(to))
      .map(({ from, to }) => `${from} imports ${to}, which is not there`),
    ...imports.flatMap(layerFault),
    ...imports.flatMap(backendFault),
    ...circles(imports.filter(({ dynamic, typeOnly }) => !dynamic && !typeOnly)),
  ]
  return [...new Set(faults)]
}

function layerFault({ from, to }: Import): readonly string[] {
  // The public API stands above all, and nothing below may know it.
  if (from === 'index.ts') return []
  if (to === 'index.ts') return [`${from} imports the public API`]
  if (folderOf(from) === folderOf(to)) return []
  const [a, b] = [layerOf(from), layerOf(to)]
  if (a > b) return []
  return [`${from} imports ${to}, which is ${a === b ? 'beside' : 'above'} it`]
}

function backendFault({ from, to, dynamic }: Import): readonly string[] {
  const backend = backendOf(to)
  if (backend === undefined || backendOf(from) === backend) return []
  if (from === `${folderOf(to)}/index.ts` && dynamic) return []
  return [`${from} imports ${to}: a backend is loaded only by its family's index.ts, with import()`]
}

function circles(imports: readonly Import[]): readonly string[] {
  const targets = new Map<string, string[]>()
  for (const { from, to } of imports) targets.set(from, [...(targets.get(from) ?? []), to])
  const done = new Set<string>()
  const found: string[] = []
  const visit = (file: string, path: readonly string[]) => {
    if (path.includes(file)) found.push(`circle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`)
    if (done.has(file) || path.includes(file)) return
    for (const target of targets.get(file) ?? []) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of targets.keys()) visit(file, [])
  return found
}

const source = fileURLToPath(new URL('../src', import.meta.url))

it('imports point down, backends stay behind their family, nothing goes round in a circle', () => {
  const files = sourceFiles(source)
  expect(files.length).toBeGreaterThan(50)
  expect(files.flatMap((file) => importsOf(source, file)).length).toBeGreaterThan(files.length)
  expect(faultsOf(source)).toEqual([])
})

describe('the test itself', () => {
  function treeWith(files: Readonly<Record<string, string>>): string {
    const root = temporaryFolder('layers')
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
    }
    return root
  }

  it.each<[what: string, from: string, text: string, to: string, fault: string]>([
    [
      'up',
      'core/a.ts',
      "import { b } from '../codec/b.js'",
      'codec/b.ts',
      'core/a.ts imports codec/b.ts, which is above it',
    ],
    [
      'up, for a type',
      'codec/a.ts',
      "import type { B } from '../config/b.js'",
      'config/b.ts',
      'codec/a.ts imports config/b.ts, which is above it',
    ],
    [
      'up, lazily',
      'serving/a.ts',
      "await import('../server/b.js')",
      'server/b.ts',
      'serving/a.ts imports server/b.ts, which is above it',
    ],
    [
      'up, to export',
      'core/a.ts',
      "export * from '../codec/b.js'",
      'codec/b.ts',
      'core/a.ts imports codec/b.ts, which is above it',
    ],
    [
      'up, over several lines',
      'core/a.ts',
      "import {\n  b,\n  type C,\n} from '../codec/b.js'",
      'codec/b.ts',
      'core/a.ts imports codec/b.ts, which is above it',
    ],
    [
      'sideways',
      'registry/a.ts',
      "import '../online-stores/b.js'",
      'online-stores/b.ts',
      'registry/a.ts imports online-stores/b.ts, which is beside it',
    ],
    [
      'to nowhere',
      'cli/a.ts',
      "import { b } from './b.js'",
      'cli/c.ts',
      'cli/a.ts imports cli/b.ts, which is not there',
    ],
    [
      'to the public API',
      'cli/a.ts',
      "import { b } from '../index.js'",
      'index.ts',
      'cli/a.ts imports the public API',
    ],
    [
      'into a backend',
      'feature-store/a.ts',
      "await import('../online-stores/sqlite/index.js')",
      'online-stores/sqlite/index.ts',
      "feature-store/a.ts imports online-stores/sqlite/index.ts: a backend is loaded only by its family's index.ts, with import()",
    ],
    [
      'into a backend, at once',
      'online-stores/index.ts',
      "import './sqlite/index.js'",
      'online-stores/sqlite/index.ts',
      "online-stores/index.ts imports online-stores/sqlite/index.ts: a backend is loaded only by its family's index.ts, with import()",
    ],
  ])('sees an import that points %s', (_, from, text, to, fault) => {
    expect(faultsOf(treeWith({ [from]: text, [to]: 'export const b = 1' }))).toEqual([fault])
  })

  it('sees a circle', () => {
    const tree = treeWith({
      'core/a.ts': "import { b } from './b.js'",
      'core/b.ts': "import { c } from './c.js'",
      'core/c.ts': "import { b } from './b.js'",
    })
    expect(faultsOf(tree)).toEqual(['circle: core/b.ts → core/c.ts → core/b.ts'])
  })

  it('sees a folder on no layer', () => {
    expect(faultsOf(treeWith({ 'misc/a.ts': '' }))).toEqual(['misc/a.ts is on no layer'])
  })
})
