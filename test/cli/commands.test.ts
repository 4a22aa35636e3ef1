import { spawn } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { runSql } from '../feature-store/workbench.js'
import { temporaryFolder } from '../temporary-folder.js'
import { emptyFolder, type FeastRun, initializedRepo, runFeast, startFeast, textOf } from './run-feast.js'

let repo: string
beforeAll(async () => {
  repo = await initializedRepo()
})

const feast = async (args: readonly string[], cwd = repo): Promise<FeastRun> => {
  const run = await runFeast(cwd, args)
  if (run.code !== 0) throw new Error(`feast ${args.join(' ')} exited with ${run.code}: ${run.stderr}`)
  return run
}
const json = async (args: readonly string[], cwd = repo) => JSON.parse((await feast(args, cwd)).stdout)

function copyOfRepo(): string {
  const copy = join(emptyFolder(), 'repo')
  cpSync(repo, copy, { recursive: true })
  return copy
}

describe('init', () => {
  it('makes a repo that applies, with a name made up where none is given', async () => {
    const folder = emptyFolder()
    const { stdout } = await feast(['init', '--minimal'], folder)
    const made = /Creating a new Feast repository in (.*)\.\n/.exec(stdout)![1]!
    expect(made.startsWith(folder)).toBe(true)
    expect((await feast(['apply'], join(made, 'feature_repo'))).stdout).toContain('Created entity user')
    expect(existsSync(join(made, 'feature_repo/data/spending.parquet'))).toBe(false)
  })

  it('goes into the folder given and leaves what is there', async () => {
    const folder = emptyFolder()
    writeFileSync(join(folder, 'package.json'), '{"name":"mine"}')
    await feast(['init', 'wallet', '--minimal', '--repo-path', folder], emptyFolder())
    expect(readFileSync(join(folder, 'package.json'), 'utf8')).toBe('{"name":"mine"}')
    expect(readFileSync(join(folder, 'feature_repo/feature_store.yaml'), 'utf8')).toContain(
      'project: wallet\n',
    )
  })
})

describe('apply and plan', () => {
  it('plan changes nothing; its exit code tells whether there are changes', async () => {
    const folder = emptyFolder()
    await feast(['init', 'demo', '--minimal'], folder)
    const fresh = join(folder, 'demo/feature_repo')
    expect((await runFeast(fresh, ['plan', '--detailed-exitcode'])).code).toBe(2)
    expect((await feast(['plan'], fresh)).stdout).toContain('Created entity user')
    expect(existsSync(join(fresh, 'data'))).toBe(false)
    await feast(['apply'], fresh)
    expect((await runFeast(fresh, ['plan', '--detailed-exitcode'])).code).toBe(0)
  })

  it('applying again writes nothing', async () => {
    const before = readFileSync(join(repo, 'data/registry.db'))
    expect((await feast(['apply'])).stdout).toBe('Applying changes for project demo\nNo changes\n')
    expect(readFileSync(join(repo, 'data/registry.db')).equals(before)).toBe(true)
  })

  it('deletes only with --prune, and only when somebody says yes', async () => {
    const copy = copyOfRepo()
    const file = join(copy, 'features.ts')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/\/\*\* The features of one model[\s\S]*/, ''))
    const kept = await feast(['apply'], copy)
    expect(kept.stderr).toContain('`feast apply --prune` would delete:\n  feature service limits')
    expect((await feast(['feature-services', 'list'], copy)).stdout).toContain('limits')
    const unasked = await runFeast(copy, ['apply', '--prune'])
    expect(unasked.code).toBe(2)
    expect(unasked.stderr).toContain('add --yes')
    expect((await feast(['feature-services', 'list'], copy)).stdout).toContain('limits')
    expect((await feast(['apply', '--prune', '--yes'], copy)).stdout).toContain(
      'Deleted feature service limits',
    )
    expect((await feast(['feature-services', 'list'], copy)).stdout).not.toContain('limits')
  })

  it('prints what an update changes', async () => {
    const copy = copyOfRepo()
    const file = join(copy, 'features.ts')
    writeFileSync(file, readFileSync(file, 'utf8').replace("ttl: '30d'", "ttl: '60d'"))
    const { stdout } = await feast(['plan'], copy)
    expect(stdout).toContain('Updated feature view spending\n\tttl: ')
    const { changes } = await json(['plan', '--json'], copy)
    expect(changes).toEqual([
      expect.objectContaining({ action: 'update', kind: 'featureView', name: 'spending' }),
    ])
  })

  it('teardown removes everything, twice is fine', async () => {
    const copy = copyOfRepo()
    await feast(['teardown'], copy)
    await feast(['teardown'], copy)
    expect((await runFeast(copy, ['entities', 'list'])).code).toBe(1)
  })
})

describe('--json parses', () => {
  it.each<[args: readonly string[], expected: unknown]>([
    [
      ['configuration', '--json'],
      expect.objectContaining({ project: 'demo', offline_store: { type: 'duckdb' } }),
    ],
    [['validate', '--json'], { valid: true, definitions: 3, warnings: [], inferred: [] }],
    [['plan', '--json'], expect.objectContaining({ changes: [], orphans: [], infra: [] })],
    [['entities', 'list', '--json'], [{ name: 'user', description: '', type: 'ValueType.INT64', tags: {} }]],
    [['data-sources', 'list', '--json'], [expect.objectContaining({ class: 'FileSource' })]],
    [
      ['feature-views', 'list', '--json'],
      [expect.objectContaining({ name: 'spending', entities: "{'user'}", enabled: 'Yes' })],
    ],
    [['on-demand-feature-views', 'list', '--json'], []],
    [['stream-feature-views', 'list', '--json'], []],
    [['label-views', 'list', '--json'], []],
    [['saved-datasets', 'list', '--json'], []],
    [['validation-references', 'list', '--json'], []],
    [['permissions', 'list', '--json'], []],
    [['projects', 'list', '--json'], [expect.objectContaining({ name: 'demo' })]],
    [
      ['feature-services', 'list', '--json'],
      [expect.objectContaining({ features: 'spending:payments_7d, spending:amount_7d' })],
    ],
    [
      ['features', 'list', '--json'],
      expect.arrayContaining([{ feature_name: 'amount_7d', feature_view: 'spending', dtype: 'Float64' }]),
    ],
    [['feature-views', 'describe', 'spending', '--json'], expect.objectContaining({ enabled: true })],
    [
      ['entities', 'describe', 'user', '--json'],
      expect.objectContaining({ spec: expect.objectContaining({ joinKey: 'user_id' }) }),
    ],
    [['projects', 'current_project', '--json'], expect.objectContaining({ spec: { name: 'demo' } })],
    [
      ['feature-views', 'list-versions', 'spending', '--json'],
      [expect.objectContaining({ version: 'v0', type: 'feature_view' })],
    ],
    [['registry-dump'], expect.objectContaining({ project: 'demo', featureViews: [expect.anything()] })],
  ])('%j', async (args, expected) => {
    expect(await json(args)).toEqual(expected)
  })
})

describe('looking', () => {
  it('describes as YAML and filters by tags', async () => {
    expect((await feast(['entities', 'describe', 'user'])).stdout).toMatch(
      /^spec:\n {2}name: user\n {2}valueType: INT64\n {2}joinKey: user_id\n/,
    )
    expect((await feast(['entities', 'list', '--tags', 'team:x'])).stdout).toBe('NAME  DESCRIPTION  TYPE\n')
  })

  it('enables and disables', async () => {
    const copy = copyOfRepo()
    expect((await feast(['feature-views', 'disable', 'spending'], copy)).stdout).toBe(
      "Feature view 'spending' has been disabled.\n",
    )
    expect((await feast(['feature-views', 'disable', 'spending'], copy)).stdout).toBe(
      "Feature view 'spending' is already disabled.\n",
    )
    expect((await json(['feature-views', 'list', '--json'], copy))[0].enabled).toBe('No')
    expect((await feast(['feature-views', 'enable', 'spending'], copy)).stdout).toBe(
      "Feature view 'spending' has been enabled.\n",
    )
  })

  it('deletes', async () => {
    const copy = copyOfRepo()
    expect((await feast(['delete', 'limits'], copy)).stdout).toBe(
      'Deleted FeatureService limits from demo.\n',
    )
  })

  it('deletes a project and leaves the others', async () => {
    const copy = copyOfRepo()
    const yaml = join(copy, 'feature_store.yaml')
    const other = join(copy, 'other.yaml')
    writeFileSync(other, readFileSync(yaml, 'utf8').replace('project: demo', 'project: other'))
    await feast(['-f', other, 'apply'], copy)
    expect(
      (await json(['projects', 'list', '--json'], copy)).map((one: { name: string }) => one.name).sort(),
    ).toEqual(['demo', 'other'])
    expect((await runFeast(copy, ['projects', 'delete', 'other'])).code).toBe(2)
    expect((await runFeast(copy, ['projects', 'delete', 'othr', '--yes'])).stderr).toContain(
      'Did you mean "other"?',
    )
    expect((await feast(['projects', 'delete', 'other', '--yes'], copy)).stdout).toBe(
      "Project 'other' deleted successfully.\n",
    )
    expect(
      (await json(['projects', 'list', '--json'], copy)).map((one: { name: string }) => one.name),
    ).toEqual(['demo'])
    expect(
      (await feast(['get-online-features', '-e', 'user_id=7', '-f', 'spending:amount_7d'], copy)).stdout,
    ).toMatch(/\d\.\d/)
  })

  it('reads the repo named by -c, -f and the environment', async () => {
    const elsewhere = emptyFolder()
    const yaml = join(repo, 'feature_store.yaml')
    for (const [args, env] of [
      [['-c', repo], {}],
      [['-c', repo, '-f', yaml], {}],
      [[], { FEATURE_REPO_DIR_ENV_VAR: repo }],
      [['-c', repo], { FEAST_FS_YAML_FILE_PATH: yaml }],
      [['-c', repo], { FEATURE_STORE_YAML_BASE64: readFileSync(yaml).toString('base64') }],
    ] as const) {
      const { stdout, code } = await runFeast(elsewhere, [...args, 'entities', 'list'], env)
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('user') })
    }
  })
})

describe('moving', () => {
  it('materialize counts rows, and is 1 when a view failed', async () => {
    const now = new Date().toISOString()
    const { stdout } = await feast(['materialize', '2020-01-01T00:00:00', now])
    expect(stdout).toMatch(
      /^Materializing 1 feature views from 2020-01-01 00:00:00\+00:00 to .* into the sqlite online store\.\n\nspending /,
    )
    expect(stdout).toMatch(/: 500 rows in \d/)
    const report = await json(['materialize-incremental', new Date().toISOString(), '--json'])
    expect(report).toEqual({ views: [expect.objectContaining({ view: 'spending' })] })
    expect((await feast(['materialize', '--disable-event-timestamp'], copyOfRepo())).stdout).toContain(
      '500 rows',
    )
  })

  it('looks features up, a row for each value, with all digits', async () => {
    const args = [
      'get-online-features',
      '-e',
      'user_id=7',
      '-e',
      'user_id=9007199254740993',
      '--feature-service',
      'limits',
    ]
    const { stdout } = await feast(args)
    expect(stdout).toContain('        9007199254740993\n')
    expect(JSON.parse(stdout)).toEqual({
      user_id: [7, expect.any(Number)],
      payments_7d: [expect.any(Number), null],
      amount_7d: [expect.any(Number), null],
    })
    const answer = await json([...args, '--json', '--full-feature-names'])
    expect(answer.metadata.feature_names).toEqual(['user_id', 'spending__payments_7d', 'spending__amount_7d'])
    expect(answer.results[1].statuses).toEqual(['PRESENT', 'NOT_FOUND'])
  })

  it('joins entity rows of every kind to the same result', async () => {
    // Of the newest rows, whatever day it has become.
    const data = join(repo, 'data/spending.parquet')
    const [newest] = await runSql(`SELECT strftime(max(event_timestamp), '%xT%XZ') AS time FROM '${data}'`)
    const time = String(newest!['time'])
    const folder = emptyFolder()
    writeFileSync(join(folder, 'rows.csv'), `user_id,event_timestamp\n7,${time}\n`)
    writeFileSync(join(folder, 'rows.json'), JSON.stringify([{ user_id: 7, event_timestamp: time }]))
    const common = ['get-historical-features', '--feature-service', 'limits']
    const expected = [
      { user_id: 7, event_timestamp: time, payments_7d: expect.any(Number), amount_7d: expect.any(Number) },
    ]
    const first = await json([...common, '-d', JSON.stringify([{ user_id: 7, event_timestamp: time }])])
    expect(first).toEqual(expected)
    for (const rows of [
      ['--entities', join(folder, 'rows.csv')],
      ['--entities', join(folder, 'rows.json')],
      ['--sql', `SELECT 7::BIGINT AS user_id, TIMESTAMP '${time.slice(0, 19)}' AS event_timestamp`],
    ]) {
      expect(await json([...common, ...rows])).toEqual(first)
    }
    const range = await json([...common, '-s', time, '--limit', '3'])
    expect(range).toHaveLength(3)
    expect(Object.keys(range[0])).toEqual(Object.keys(first[0]))
  })

  it('writes the result to Parquet, CSV, Arrow and JSON, and to the screen as table and CSV', async () => {
    const folder = emptyFolder()
    const common = ['get-historical-features', '-f', 'spending:amount_7d', '-s', '2020-01-01']
    const counts = new Set<number>()
    for (const ending of ['parquet', 'csv', 'arrow', 'json']) {
      const output = join(folder, `rows.${ending}`)
      const { rows, file } = await json([...common, '--output', output, '--json'])
      expect(file).toBe(output)
      expect(statSync(output).size).toBeGreaterThan(0)
      counts.add(rows)
      expect((await feast([...common, '--output', output, '--overwrite'])).stdout).toBe(
        `Wrote ${rows.toLocaleString('en-US')} rows to ${output}\n`,
      )
    }
    expect(counts.size).toBe(1)
    const table = (await feast([...common, '--format', 'table', '--limit', '2'])).stdout
    expect(table).toMatch(/^user_id +event_timestamp +amount_7d\n\d+ /)
    expect(table.trim().split('\n')).toHaveLength(3)
    expect((await feast([...common, '--format', 'csv', '--limit', '1'])).stdout).toMatch(
      /^user_id,event_timestamp,amount_7d\n\d+,20/,
    )
  })

  it('appends a file to a source, all columns of it', async () => {
    const copy = copyOfRepo()
    const file = join(copy, 'late.csv')
    writeFileSync(
      file,
      'user_id,event_timestamp,payments_7d,amount_7d,largest_7d\n7,2020-01-01T00:00:00Z,11,22.5,9.75\n',
    )
    expect((await feast(['offline', 'append', 'spending', file], copy)).stdout).toMatch(
      /^Appended 1 rows to /,
    )
    const rows = await json(
      [
        'get-historical-features',
        '-f',
        'spending:amount_7d',
        '-d',
        '[{"user_id":7,"event_timestamp":"2020-01-02T00:00:00Z"}]',
      ],
      copy,
    )
    expect(rows[0].amount_7d).toBe(22.5)
  })
})

describe('serve', () => {
  async function listening(args: readonly string[] = []) {
    const server = startFeast(repo, ['serve', '-p', '0', ...args])
    let text = ''
    const url = await new Promise<string>((resolve, reject) => {
      server.stdout.on('data', (chunk) => {
        text += String(chunk)
        const found = /(https?:\/\/[^\s]+)/.exec(text)
        if (found) resolve(found[1]!)
      })
      server.on('close', (code) => reject(new Error(`serve ended with ${code}`)))
    })
    const ended = new Promise<number | null>((resolve) => server.on('close', resolve))
    return { server, url, ended }
  }

  it.each(['SIGINT', 'SIGTERM'] as const)('answers until %s, then ends with 0', async (signal) => {
    const { server, url, ended } = await listening()
    const answer = await fetch(`${url}/get-online-features`, {
      method: 'POST',
      body: JSON.stringify({ feature_service: 'limits', entities: { user_id: [7] } }),
    })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({
      metadata: { feature_names: ['user_id', 'payments_7d', 'amount_7d'] },
    })
    server.kill(signal)
    expect(await ended).toBe(0)
  })
})

describe('signals and pipes', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends a long materialization with %d, and the next run does it', async (signal, code) => {
    const copy = copyOfRepo()
    mkdirSync(join(copy, 'data'), { recursive: true })
    const file = join(copy, 'features.ts')
    writeFileSync(file, readFileSync(file, 'utf8').replace('spending.parquet', 'many.csv'))
    const range = ['materialize', '2025-01-01', '2026-02-01']
    for (let rows = 60_000; ; rows *= 4) {
      const lines = Array.from({ length: rows }, (_, i) => `${i},2026-01-01T00:00:00Z,1,2.5,2.5`)
      const header = 'user_id,event_timestamp,payments_7d,amount_7d,largest_7d'
      writeFileSync(join(copy, 'data/many.csv'), `${header}\n${lines.join('\n')}\n`)
      await feast(['apply'], copy)
      const run = startFeast(copy, range)
      const ended = new Promise<number | null>((resolve) => run.on('close', resolve))
      run.stdout.once('data', () => run.kill(signal))
      const [stderr, exit] = await Promise.all([textOf(run.stderr), ended])
      // It may be done before the signal comes; a longer one is not.
      if (exit === 0 && rows < 10_000_000) continue
      expect({ exit, stderr }).toEqual({ exit: code, stderr: expect.not.stringContaining('not foreseen') })
      expect((await feast(range, copy)).stdout).toContain(`${rows.toLocaleString('en-US')} rows`)
      return
    }
  })

  it('a reader that goes away is no error, and nothing is left behind', async () => {
    const TMPDIR = temporaryFolder('tmp')
    const shell = spawn(
      'bash',
      [
        '-c',
        `set -o pipefail; "$0" "$1" get-historical-features -f spending:amount_7d -s 2020-01-01 | head -2`,
        process.execPath,
        join(process.cwd(), 'dist/cli.js'),
      ],
      { cwd: repo, env: { ...process.env, TMPDIR } },
    )
    const [stdout, stderr, code] = await Promise.all([
      textOf(shell.stdout),
      textOf(shell.stderr),
      new Promise<number | null>((resolve) => shell.on('close', resolve)),
    ])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe('[\n    {\n')
    expect(readdirSync(TMPDIR)).toEqual([])
  })

  it('colours only a terminal', async () => {
    const { stdout, stderr } = await runFeast(repo, ['feature-views', 'describe', 'nope'])
    expect(stdout + stderr).not.toContain('\x1b')
  })
})

it('a Python feature repo is served from its registry, with no TypeScript at all', async () => {
  const copy = copyOfRepo()
  writeFileSync(join(copy, 'features.py'), 'raise Exception("never run")\n')
  writeFileSync(join(copy, 'features.ts'), 'throw new Error("never loaded")\n')
  appendFileSync(join(copy, 'feature_store.yaml'), 'coerce_tz_aware: true\n')
  expect((await feast(['feature-views', 'list'], copy)).stdout).toContain('spending')
  expect(
    await json(['get-online-features', '-e', 'user_id=7', '-f', 'spending:amount_7d'], copy),
  ).toMatchObject({ user_id: [7] })
})

describe('a registry that Python made, without its repo', () => {
  let made: string
  beforeAll(() => {
    made = emptyFolder()
    const vector = new URL('../compat/vectors/registry-all-kinds.json', import.meta.url)
    writeFileSync(
      join(made, 'registry.pb'),
      Buffer.from(JSON.parse(readFileSync(vector, 'utf8')).file, 'hex'),
    )
    writeFileSync(
      join(made, 'feature_store.yaml'),
      'project: p\nprovider: local\nregistry: registry.pb\nonline_store: { type: sqlite, path: online.db }\n',
    )
  })

  it('materialize counts the views it takes: no label views; of an unknown one it says nothing', async () => {
    const all = await runFeast(made, ['materialize', '2024-01-01', '2024-01-02'])
    expect(all.stdout).toContain('Materializing 5 feature views from')
    const unknown = await runFeast(made, ['materialize', '2024-01-01', '2024-01-02', '-v', 'nope'])
    expect(unknown).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('"nope"') })
  })

  it('a feature of a view in Python is not passed off as a null', async () => {
    const { code, stderr } = await runFeast(made, [
      ...['get-online-features', '-e', 'driver_id=1', '-f', 'fv:i', '-f', 'od_python:o2'],
    ])
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'Warning: no value, as their on demand feature view cannot be computed here: o2\n',
    })
  })
})
