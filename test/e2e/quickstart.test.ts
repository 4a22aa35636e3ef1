import { spawn } from 'node:child_process'
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from '@jest/globals'
import { textOf } from '../cli/run-feast.js'
import { temporaryFolder } from '../temporary-folder.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What a fresh clone has, with packages installed. */
const CLONE = ['package.json', 'tsconfig.json', 'src', 'scripts', 'protos', 'feature_repo', 'README.md']

let copy: string
beforeAll(() => {
  copy = temporaryFolder('quickstart')
  for (const path of CLONE) {
    cpSync(join(root, path), join(copy, path), {
      recursive: true,
      filter: (file) => !file.startsWith(join(root, 'feature_repo/data')),
    })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
})

it('runs from nothing to a lookup and a prediction and ends with 0', async () => {
  const run = spawn('npm', ['run', '-s', 'quickstart', '--', '--exit'], { cwd: copy })
  const [stdout, stderr, code] = await Promise.all([
    textOf(run.stdout),
    textOf(run.stderr),
    new Promise<number | null>((resolve) => run.on('close', resolve)),
  ])
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('Error') })
  // Each step shows its command and what came of it.
  for (const text of [
    'feature_repo/data/transaction_stats.parquet: 105,788 rows',
    '$ feast -c feature_repo apply',
    'Created feature service fraud_detection',
    'Wrote 75,318 rows to feature_repo/data/training_set.parquet',
    '$ feast -c feature_repo materialize-incremental',
    ': 2,000 rows in ',
    '$ feast -c feature_repo get-online-features -e user_id=7 -e amount=250 --feature-service fraud_detection',
    '$ feast -c feature_repo pipeline run fraud',
    'model: fraud/1',
    'champion: version 1',
    '{"model":"fraud","version":"1","role":"champion","predictions":[{"probability":0.',
  ]) {
    expect(stdout).toContain(text)
  }
  expect(lookupIn(stdout)).toMatchObject({
    user_id: [7],
    count_7d: [expect.any(Number)],
    amount_ratio: [expect.any(Number)],
  })
  expect(existsSync(join(copy, 'feature_repo/data/registry.db'))).toBe(true)
}, 240_000)

/** The JSON that the lookup printed. */
function lookupIn(stdout: string): unknown {
  return JSON.parse(/^\{\n[\s\S]*?^\}$/m.exec(stdout)![0])
}

it('writes only where git does not look', () => {
  expect(readFileSync(join(root, '.gitignore'), 'utf8')).toContain('/feature_repo/data/\n')
})
