import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { loadFeatureRepo } from '../../src/config/feature-repo.js'
import { temporaryFolder } from '../temporary-folder.js'

function repoWith(files: Readonly<Record<string, string>>): string {
  const repo = temporaryFolder('repo-test')
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(repo, path)), { recursive: true })
    writeFileSync(join(repo, path), text)
  }
  return repo
}

const load = (files: Readonly<Record<string, string>>) => loadFeatureRepo(repoWith(files))

const user =
  "import { entity, Int64 } from 'feast-node'\nexport const user = entity({ name: 'user', valueType: Int64 })\n"

describe('gathering', () => {
  it('finds every export with a kind, with its file', async () => {
    const repo = await load({
      'entities.ts': user,
      'views/stats.ts': `import { featureView, featureService, fileSource, Float32 } from 'feast-node'
import { user } from '../entities.js'
enum Window { Week = 7 }
export const stats = featureView({ name: \`stats_\${Window.Week}d\`, entities: [user], schema: { a: Float32 },
  source: fileSource({ path: 'a.parquet', timestampField: 'ts' }) })
export const other: string = 'not a definition'
export default featureService({ name: 'all', features: [stats] })
`,
    })
    expect(
      repo.definitions.map(({ definition, file, exportName }) => [
        definition.kind,
        definition.name,
        file,
        exportName,
      ]),
    ).toEqual([
      ['entity', 'user', 'entities.ts', 'user'],
      ['featureService', 'all', 'views/stats.ts', 'default'],
      ['featureView', 'stats_7d', 'views/stats.ts', 'stats'],
    ])
    expect(repo.definitions[2]!.definition).toMatchObject({ entities: ['user'] })
  })

  it('looks into arrays and plain objects, and takes what is exported twice once', async () => {
    const { definitions } = await load({
      'a.ts': `import { entity } from 'feast-node'
export const list = ['x', 'y'].map((name) => entity({ name }))
export const byName = { z: entity({ name: 'z' }), again: list[0] }
`,
      'b.mjs': "export * from './a.js'\n",
    })
    expect(definitions.map(({ definition }) => definition.name).sort()).toEqual(['x', 'y', 'z'])
  })

  it('reads .ts, .mts, .js and .mjs, with imports of every style, in a folder without node_modules', async () => {
    const one = (name: string) =>
      `import { entity } from 'feast-node'\nexport const e = entity({ name: '${name}' })\n`
    const { files, definitions } = await load({
      'a.ts': one('a'),
      'b.mts': one('b'),
      'c.js': one('c'),
      'd.mjs': one('d'),
      'e.ts': "export { e as e1 } from './a'\nexport { e as e2 } from './b.mjs'\n",
    })
    expect(files).toEqual(['a.ts', 'b.mts', 'c.js', 'd.mjs', 'e.ts'])
    expect(definitions).toHaveLength(4)
  })

  it('leaves out tests, configurations, declarations, hidden and built folders and .feastignore', async () => {
    const bad = 'throw new Error("loaded")\n'
    const { files } = await load({
      'a.ts': user,
      'a.test.ts': bad,
      'jest.config.js': bad,
      'types.d.ts': bad,
      '.hidden/x.ts': bad,
      'node_modules/x/index.js': bad,
      'dist/a.js': bad,
      'drafts/x.ts': bad,
      'drafts/deep/y.ts': bad,
      'old/v1/z.ts': bad,
      'old_view.ts': bad,
      '.feastignore': '# not these\ndrafts\n**/z.ts\nold_*.ts # nor these\n',
    })
    expect(files).toEqual(['a.ts'])
  })

  it('loads several at the same time', async () => {
    const names = ['a', 'b', 'c']
    const loaded = await Promise.all(
      names.map((name) => load({ 'e.ts': user.replace("'user'", `'${name}'`) })),
    )
    expect(loaded.map(({ definitions }) => definitions[0]!.definition.name)).toEqual(names)
  })

  it('imports what did not change once, since modules are never unloaded', async () => {
    const repo = repoWith({ 'e.ts': user })
    const loaded = async () => (await loadFeatureRepo(repo)).definitions[0]!.definition
    const first = await loaded()
    expect(await loaded()).toBe(first)
    writeFileSync(join(repo, 'e.ts'), user.replace("'user'", "'rider'"))
    expect((await loaded()).name).toBe('rider')
  })

  it('says that Python files are not read', async () => {
    const { definitions, notices } = await load({
      'features.py': 'x = 1',
      '__init__.py': '',
      'sub/more.py': '',
    })
    expect(definitions).toEqual([])
    expect(notices).toEqual(['Python files are not read and were left out: features.py, sub/more.py'])
  })

  it('loads packages of the repo from its own node_modules', async () => {
    const { definitions } = await load({
      'a.ts':
        "import { entity } from 'feast-node'\nimport { name } from 'naming'\nimport cjs from 'old-naming'\nexport const a = entity({ name })\nexport const b = entity({ name: cjs.name })\n",
      'node_modules/naming/package.json': '{"name":"naming","type":"module","exports":"./index.js"}',
      'node_modules/naming/index.js': "export const name = 'from_package'\n",
      'node_modules/old-naming/package.json': '{"name":"old-naming","main":"index.js"}',
      'node_modules/old-naming/index.js': "exports.name = 'from_cjs'\n",
    })
    expect(definitions.map(({ definition }) => definition.name)).toEqual(['from_package', 'from_cjs'])
  })

  it('gives import.meta of the file, not of the bundle', async () => {
    const repo = repoWith({
      'sub/a.ts':
        "import { entity } from 'feast-node'\nexport const a = entity({ name: 'a', description: new URL('x.csv', import.meta.url).pathname })\n",
    })
    const { definitions } = await loadFeatureRepo(repo)
    expect(definitions[0]!.definition).toMatchObject({ description: join(repo, 'sub/x.csv') })
  })

  it('keeps the function of an on demand view callable', async () => {
    const { definitions } = await load({
      'a.ts': `import { Float64, onDemandFeatureView, requestSource } from 'feast-node'
import { twice } from './twice.js'
const asked = requestSource({ name: 'asked', schema: { amount: Float64 } })
export const view = onDemandFeatureView({ name: 'v', sources: [asked], schema: { doubled: Float64 },
  transform: ({ amount }) => ({ doubled: amount === null ? null : twice(amount) }) })
`,
      'twice.ts': 'export const twice = (x: number): number => 2 * x\n',
    })
    const [view] = definitions.map(({ definition }) => definition)
    if (view?.kind !== 'onDemandFeatureView' || view.transformation.language !== 'typescript') throw view
    expect(view.transformation.run?.({ amount: 21 })).toEqual({ doubled: 42 })
  })
})

describe('mistakes', () => {
  it.each<[what: string, files: Readonly<Record<string, string>>, message: RegExp]>([
    ['a syntax error', { 'a.ts': 'export const a = {\n  b: ,\n}\n' }, /^a\.ts:2:6: Unexpected ","/],
    [
      'a missing file',
      { 'a.ts': "\nimport { x } from './nowhere.js'\nexport const y = x\n" },
      /^a\.ts:2:19: Could not resolve ".\/nowhere\.js"/,
    ],
    [
      'a missing package',
      { 'a.ts': "import x from 'no-such-package'\nexport const y = x\n" },
      /^a\.ts:1:15: Could not resolve "no-such-package"/,
    ],
    [
      'a misspelt import',
      { 'a.ts': "import { entitty } from 'feast-node'\nexport const y = entitty({ name: 'y' })\n" },
      /^a\.ts:1:10: No matching export in "feast-node" for import "entitty"\. Did you mean "entity"\?/,
    ],
    [
      'an error while loading',
      {
        'lib.ts': '\n\nexport function fail(): never {\n  throw new TypeError("no good")\n}\n',
        'z.ts': "import { fail } from './lib.js'\nexport const x = fail()\n",
      },
      /^lib\.ts:4:9: TypeError: no good/,
    ],
    [
      'a definition that is refused',
      {
        'a.ts':
          "import { fileSource } from 'feast-node'\n\nexport const source = fileSource({ path: 'x.parquet', timestampField: 't', createdTimestampColumn: 't' })\n",
      },
      /^a\.ts:3:23: File source "x\.parquet": timestampField and createdTimestampColumn are both "t"/,
    ],
    [
      'an entity defined twice',
      { 'a.ts': user, 'sub/b.ts': user },
      /^entity "user": is defined in a\.ts \(user\) and in sub\/b\.ts \(user\)\. Give one of them another name\./,
    ],
    [
      'two views that differ in case only',
      {
        'a.ts':
          "import { featureView, fileSource } from 'feast-node'\nconst source = fileSource({ path: 'x' })\nexport const a = featureView({ name: 'Stats', source })\nexport const b = featureView({ name: 'stats', source })\n",
      },
      /The name "stats" is used by a\.ts \(a\) and by a\.ts \(b\)/,
    ],
    [
      'two projects',
      {
        'a.ts':
          "import { project } from 'feast-node'\nexport const a = project({ name: 'a' })\nexport const b = project({ name: 'b' })\n",
      },
      /Keep one project/,
    ],
  ])('%s: names file, line and column', async (_, files, message) => {
    await expect(load(files)).rejects.toThrow(message)
  })

  it('a missing folder is an error', async () => {
    await expect(loadFeatureRepo('/nowhere/at/all')).rejects.toMatchObject({ code: 'FILE_NOT_READABLE' })
  })
})
