import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { clientModule } from '../../src/cli/client-module.js'
import { clientSchema } from '../../src/cli/client-schema.js'
import { typeOfSpec } from '../../src/client/project-schema.js'
import { initializedRepo, runFeast, textOf } from '../cli/run-feast.js'
import { type ServedStore, serveStore } from './served-store.js'

let served: ServedStore
beforeAll(async () => {
  served = await serveStore()
})
afterAll(() => served.stop())

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

describe('the generated module', () => {
  it('lets the compiler take what is right and refuse what is wrong', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'feast-typed-'))
    try {
      writeFileSync(join(folder, 'feast-client.ts'), clientModule('demo', served.schema))
      cpSync(join(ROOT, 'test/client/typed-uses.txt'), join(folder, 'uses.ts'))
      symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
      writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
      expect(await compilerSays(folder)).toBe('')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('is the same text for the same registry', async () => {
    const again = clientSchema({
      registry: await served.store.registry(),
      project: 'demo',
      versioning: false,
    })
    expect(clientModule('demo', again)).toBe(clientModule('demo', served.schema))
  })

  it('names exactly what a lookup answers', async () => {
    const serving = await served.store.serving()
    for (const [name, service] of Object.entries(served.schema.services)) {
      const columns = { ...service.entities, ...service.requestData }
      const samples = Object.entries(columns).map(([column, spec]) => [
        column,
        [SAMPLES[typeOfSpec(spec).valueType]],
      ])
      // A view without entity needs some column that says how many rows there are.
      const entities = Object.fromEntries(samples.length > 0 ? samples : [['any', [1]]])
      const { columns: answered } = await serving.getOnlineFeatures({
        featureService: name,
        entities,
        fullFeatureNames: true,
      })
      const wanted = [
        ...Object.keys(service.entities),
        ...Object.keys(service.features).map((ref) => ref.replace(':', '__')),
      ]
      expect({ name, columns: answered.map((column) => column.name) }).toEqual({ name, columns: wanted })
    }
  })
})

const SAMPLES: Readonly<Record<string, unknown>> = { INT64: 1n, INT32: 1, STRING: 'x', DOUBLE: 1.5 }

/** What the TypeScript compiler prints about the folder. */
async function compilerSays(folder: string): Promise<string> {
  const tsconfig = {
    compilerOptions: {
      strict: true,
      noUncheckedIndexedAccess: true,
      noEmit: true,
      skipLibCheck: true,
      target: 'ES2022',
      module: 'NodeNext',
      types: ['node'],
      paths: { 'feast-node/client': [join(ROOT, 'src/client/index.ts')] },
    },
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  const compiler = spawn(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder])
  return textOf(compiler.stdout)
}

describe('feast generate client', () => {
  let repo: string
  beforeAll(async () => {
    repo = await initializedRepo()
  })

  it('writes the module, and says whether it is up to date', async () => {
    const generate = (...args: readonly string[]) => runFeast(repo, ['generate', 'client', ...args])
    expect(await generate('--check')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('feast-client.ts is not there; run `feast generate client'),
    })
    expect(await generate()).toMatchObject({ code: 0, stdout: 'Wrote feast-client.ts.\n' })
    const text = readFileSync(join(repo, 'feast-client.ts'), 'utf8')
    expect(text).toContain("limits: {\n      entities: { user_id: 'INT64' },")
    expect(await generate('--check')).toMatchObject({ code: 0, stdout: 'feast-client.ts is up to date.\n' })

    // A feature repo that holds it is the repo that it was.
    expect(await runFeast(repo, ['plan', '--detailed-exitcode'])).toMatchObject({ code: 0 })

    writeFileSync(join(repo, 'feast-client.ts'), text.replace('INT64', 'INT32'))
    expect(await generate('--check')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not what the registry says'),
    })
    expect(readFileSync(join(repo, 'feast-client.ts'), 'utf8')).not.toBe(text)
    expect(await generate()).toMatchObject({ code: 0 })
    expect(readFileSync(join(repo, 'feast-client.ts'), 'utf8')).toBe(text)
  })

  it('writes elsewhere, and refuses a project that is not there', async () => {
    const elsewhere = await runFeast(repo, ['generate', 'client', '--output', '../x.ts', '--project', 'demo'])
    expect(elsewhere).toMatchObject({ code: 0, stdout: 'Wrote ../x.ts.\n' })
    const unknown = await runFeast(repo, ['generate', 'client', '--project', 'dmo'])
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('Did you mean "demo"?') })
  })
})
