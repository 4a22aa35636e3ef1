import { execFile } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from '@jest/globals'
import { initializedRepo, runFeast } from '../cli/run-feast.js'
import { runSql } from '../feature-store/workbench.js'
import { temporaryFolder } from '../temporary-folder.js'
import { linearModel } from './onnx-builder.js'

let repo: string

beforeAll(async () => {
  repo = await initializedRepo()
  mkdirSync(join(repo, 'models'), { recursive: true })
  writeFileSync(join(repo, 'models/spender.onnx'), linearModel([0, 2]))
  appendFileSync(
    join(repo, 'feature_store.yaml'),
    'models:\n  files:\n    spender: { path: models/spender.onnx, feature_service: limits }\n',
  )
  await runSql(
    `COPY (SELECT range + 1 AS user_id, 'n' || range AS note FROM range(30) UNION ALL SELECT 99999, 'nobody')
     TO '${join(repo, 'entities.parquet')}'`,
  )
}, 120_000)

it('feast predict writes the rows of a file with the outputs beside them', async () => {
  const files = ['--input', 'entities.parquet', '--output', 'out.parquet']
  const failed = await runFeast(repo, ['predict', 'spender', ...files])
  expect(failed.code).toBe(1)
  expect(failed.stderr).toContain('of row 30 cannot be fed to the model: there is no row for the entity')
  const [HOME, TMPDIR] = [temporaryFolder('home'), temporaryFolder('tmp')]
  const { code, stdout, stderr } = await runFeast(
    repo,
    ['predict', 'spender', ...files, '--partial', '--json'],
    { HOME, TMPDIR },
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  // The runtime would keep a record of its use there.
  expect([HOME, TMPDIR].flatMap((folder) => readdirSync(folder))).toEqual([])
  expect(JSON.parse(stdout)).toMatchObject({ model: 'spender', version: '1', rows: 31 })
  const rows = await runSql(`SELECT * FROM '${join(repo, 'out.parquet')}' ORDER BY user_id`)
  expect(rows).toHaveLength(31)
  expect(Object.keys(rows[0]!)).toEqual(['user_id', 'note', 'score', 'prediction_error'])
  expect(rows[30]).toMatchObject({
    note: 'nobody',
    score: null,
    prediction_error: expect.stringContaining('NOT_FOUND'),
  })
  const asked = await runFeast(repo, ['get-online-features', '-e', 'user_id=1', '-s', 'limits', '--json'])
  const amount = JSON.parse(asked.stdout).results[2].values[0]
  expect(Number(rows[0]!['score'])).toBeCloseTo(2 * amount, 2)
}, 120_000)

it('without the runtime says which package is missing, and how to get it; all else works', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const bare = mkdtempSync(join(tmpdir(), 'feast-bare-'))
  try {
    for (const part of ['dist', 'protos', 'package.json'])
      cpSync(join(root, part), join(bare, part), { recursive: true })
    mkdirSync(join(bare, 'node_modules'))
    for (const name of readdirSync(join(root, 'node_modules'))) {
      if (name.startsWith('onnxruntime') || name.startsWith('.')) continue
      symlinkSync(join(root, 'node_modules', name), join(bare, 'node_modules', name))
    }
    const feast = (...args: string[]) =>
      new Promise<{ code: number; stderr: string }>((resolve) => {
        execFile(
          process.execPath,
          [join(bare, 'dist/cli.js'), ...args],
          { cwd: repo },
          (error, _, stderr) => {
            resolve({ code: Number((error as { code?: number } | null)?.code ?? 0), stderr })
          },
        )
      })
    const args = [
      'predict',
      'spender',
      '--input',
      'entities.parquet',
      '--output',
      'other.parquet',
      '--partial',
    ]
    expect(await feast(...args)).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /onnxruntime-node\\*", which cannot be loaded[\s\S]*npm install onnxruntime-node@/,
      ),
    })
    expect((await feast('models', 'list')).code).toBe(0)
  } finally {
    rmSync(bare, { recursive: true })
  }
}, 60_000)
