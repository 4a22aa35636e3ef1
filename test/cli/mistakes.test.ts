import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { emptyFolder, initializedRepo, runFeast } from './run-feast.js'

let repo: string
beforeAll(async () => {
  repo = await initializedRepo()
  writeFileSync(join(repo, 'rows.csv'), 'user_id,event_timestamp\n7,2026-01-01T00:00:00Z\n')
  writeFileSync(join(repo, 'no-key.csv'), 'event_timestamp\n2026-01-01T00:00:00Z\n')
  writeFileSync(join(repo, 'no-time.csv'), 'user_id\n7\n')
  writeFileSync(join(repo, 'bad-key.csv'), 'user_id,event_timestamp\nseven,2026-01-01T00:00:00Z\n')
  writeFileSync(
    join(repo, 'columns.csv'),
    'user_id,event_timestamp,payments_7d,amount_7d\n7,2026-01-01T00:00:00Z,1,2.5\n',
  )
  writeFileSync(join(repo, 'broken.parquet'), 'this is no parquet')
})

/** A copy of the repo that a test may spoil. */
function copyOfRepo(): string {
  const copy = join(emptyFolder(), 'repo')
  cpSync(repo, copy, { recursive: true })
  return copy
}

const online = ['get-online-features', '-e', 'user_id=7']
const historical = ['get-historical-features', '-f', 'spending:amount_7d']

describe('a mistake of the caller names what is wrong and how to mend it', () => {
  it.each<[args: readonly string[], code: number, message: RegExp]>([
    // Unknown names.
    [
      ['feature-views', 'describe', 'spendng'],
      1,
      /Feature view "spendng" is not in project "demo"\. Did you mean "spending"\?/,
    ],
    [['entities', 'describe', 'usr'], 1, /Entity "usr" .* Did you mean "user"\?/],
    [['feature-services', 'describe', 'limit'], 1, /Feature service "limit" .* Did you mean "limits"\?/],
    [['projects', 'describe', 'dem'], 1, /Project "dem" .* Did you mean "demo"\?/],
    [['permissions', 'describe', 'p'], 1, /Permission "p" is not in project "demo"/],
    [['feature-views', 'disable', 'spendng'], 1, /"spendng".* Did you mean "spending"\?/],
    [['feature-views', 'set-state', 'spending', 'done'], 2, /"done" is not a state; choose from created, /],
    [['offline', 'append', 'spendng', 'columns.csv'], 1, /"spendng".* Did you mean "spending"\?/],
    [[...online, '-f', 'spendng:amount_7d'], 1, /"spendng".* Did you mean "spending"\?/],
    [[...online, '-f', 'spending:amount'], 1, /Feature "amount" is not in feature view "spending"/],
    [[...online, '--feature-service', 'limit'], 1, /"limit".* Did you mean "limits"\?/],
    [
      ['materialize', '2026-01-01', '2026-01-02', '-v', 'spendng'],
      2,
      /"spendng".* Did you mean "spending"\?/,
    ],
    [
      ['get-historical-features', '--entities', 'no-time.csv', '-f', 'spendng:amount_7d'],
      1,
      /"spendng".* Did you mean "spending"\?/,
    ],

    // Online features.
    [['get-online-features', '-f', 'spending:amount_7d'], 2, /Say for whom: --entities key=value/],
    [online, 2, /Say what to look up/],
    [
      ['get-online-features', '-e', 'user_id', '-f', 'spending:amount_7d'],
      2,
      /Invalid entity format: user_id\. Use key=value format\./,
    ],
    [
      [...online, '-e', 'user_id=8', '-e', 'x=1', '-f', 'spending:amount_7d'],
      2,
      /Every key needs a value in every row; given were user_id 2, x 1\./,
    ],
    [
      ['get-online-features', '-e', 'user_id=1.5', '-f', 'spending:amount_7d'],
      1,
      /Entity column "user_id": .*1\.5.* is not a value of type/,
    ],
    [
      ['get-online-features', '-e', 'usr=7', '-f', 'spending:amount_7d'],
      1,
      /looked up by "user_id", which the entity rows do not have; they have "usr"/,
    ],
    [[...online, '-f', 'amount_7d'], 1, /"amount_7d" is not a feature reference; write it as "view:feature"/],

    // Historical features.
    [historical, 2, /Give entity rows in exactly one way/],
    [[...historical, '-d', '[]', '--sql', 'SELECT 1'], 2, /Give entity rows in exactly one way/],
    [[...historical, '-d', '{'], 2, /--dataframe is not JSON/],
    [[...historical, '-d', '{}'], 2, /--dataframe must be a JSON array of objects/],
    [[...historical, '--entities', 'nowhere.csv'], 1, /nowhere\.csv/],
    [[...historical, '--entities', 'broken.parquet'], 1, /broken\.parquet/],
    [[...historical, '--entities', 'no-key.csv'], 1, /"user_id", which the entity rows do not have/],
    [[...historical, '--entities', 'no-time.csv'], 1, /event_timestamp/],
    [[...historical, '--entities', 'bad-key.csv'], 1, /column "user_id"\. Could not convert string "seven"/],
    [[...historical, '--sql', 'SELEC 1'], 1, /syntax error/i],
    [
      [...historical, '-s', 'yesterday'],
      1,
      /--start-date: "yesterday" is not a date or time; write ISO 8601/,
    ],
    [
      [...historical, '--entities', 'columns.csv', '--output', 'rows.txt'],
      1,
      /--output rows\.txt: end its name in \.parquet/,
    ],
    [
      [...historical, '--entities', 'columns.csv', '--format', 'arrow'],
      2,
      /--format arrow needs --output FILE/,
    ],
    [[...historical, '--entities', 'rows.csv', '--output', 'rows.csv'], 1, /rows\.csv already exists/],

    // Materialize: J5.
    [['materialize'], 2, /START_TS and END_TS are needed/],
    [['materialize', '2026-01-02', '2026-01-01'], 2, /START_TS 2026-01-02 is later than END_TS 2026-01-01/],
    [['materialize', '2026-13-01', '2026-01-01'], 2, /START_TS: "2026-13-01" is not a date or time/],
    [['materialize-incremental', 'now'], 2, /END_TS: "now" is not a date or time/],
    [
      ['materialize-incremental', '2026-01-01', '--lookback', 'long'],
      2,
      /--lookback: "long" is not a length of time/,
    ],
    [
      ['materialize-incremental', '2026-01-01', '--version', 'v2'],
      2,
      /--version needs --views with exactly one feature view/,
    ],

    // The rest.
    [['offline', 'append', 'spending', 'columns.csv'], 1, /The columns do not match.* missing "largest_7d"/],
    [['offline', 'append', 'spending', 'nowhere.csv'], 1, /nowhere\.csv/],
    [['entities', 'list', '--tags', 'team'], 2, /--tags team: write key:value/],
    [['--chdir', 'nowhere', 'plan'], 1, /There is no feature_store\.yaml at .*nowhere\/feature_store\.yaml/],
    [['-f', 'nowhere.yaml', 'configuration'], 1, /There is no feature_store\.yaml at .*nowhere\.yaml/],
    [['serve', '--key', 'k.pem'], 2, /Both key and cert file paths are required/],
    [['init', 'demo', '--repo-path', '..'], 1, /feature_store\.yaml already exists/],
  ])('%j', async (args, code, message) => {
    const run = await runFeast(repo, args)
    expect(run.stderr).toMatch(message)
    expect(run.stderr).toMatch(/^Error: /m)
    expect(run.stderr).not.toMatch(/not foreseen|\n\s+at /)
    expect(run.code).toBe(code)
  })

  it('an object that is not there is not deleted, and that is no error, as in Feast', async () => {
    const { code, stdout } = await runFeast(repo, ['delete', 'nope'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Object not found. Deletion skipped.\n' })
  })
})

describe('a spoilt repo', () => {
  it('YAML: position and nearest key', async () => {
    const copy = copyOfRepo()
    const file = join(copy, 'feature_store.yaml')
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('  path: data/online_store.db', '  pth: data/online_store.db'),
    )
    const { code, stderr } = await runFeast(copy, [...online, '-f', 'spending:amount_7d'])
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /feature_store\.yaml:6:3: online_store\.pth: the key is not known here\. Did you mean "path"\?/,
    )
  })

  it('a store type that is not there is refused by the commands that need it only', async () => {
    const copy = copyOfRepo()
    const file = join(copy, 'feature_store.yaml')
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('type: sqlite\n  path: data/online_store.db', 'type: sqlit'),
    )
    expect((await runFeast(copy, ['feature-views', 'list'])).code).toBe(0)
    const { code, stderr } = await runFeast(copy, [...online, '-f', 'spending:amount_7d'])
    expect(code).toBe(1)
    expect(stderr).toContain(
      'online_store.type: "sqlit" is not a store that feast-node has. Did you mean "sqlite"?',
    )
  })

  it('definitions: file, line and column', async () => {
    const copy = copyOfRepo()
    writeFileSync(
      join(copy, 'more.ts'),
      "import { entity } from 'feast-node'\n\nexport const x = entitty({ name: 'x' })\n",
    )
    for (const command of ['plan', 'apply', 'validate']) {
      const { code, stderr } = await runFeast(copy, [command])
      expect(code).toBe(1)
      expect(stderr).toMatch(/more\.ts:3:18: ReferenceError: entitty is not defined/)
    }
  })

  it('a definition whose source lacks a column', async () => {
    const copy = copyOfRepo()
    const file = join(copy, 'features.ts')
    writeFileSync(
      file,
      readFileSync(file, 'utf8')
        .replace('amount_7d: Float64', 'amonut_7d: Float64')
        .replace("'amount_7d'", "'amonut_7d'"),
    )
    const { code, stderr } = await runFeast(copy, ['validate'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/no column "amonut_7d".* Did you mean "amount_7d"\?/)
    expect((await runFeast(copy, ['validate', '--skip-source-validation'])).code).toBe(0)
  })

  it('no definitions: apply does not take that for "all removed"', async () => {
    const copy = copyOfRepo()
    rmSync(join(copy, 'features.ts'))
    writeFileSync(join(copy, 'features.py'), '')
    const { code, stderr } = await runFeast(copy, ['apply', '--prune', '--yes'])
    expect(code).toBe(1)
    expect(stderr).toContain('there are no TypeScript definitions here')
    expect(stderr).toContain('Python files are not read and were left out: features.py')
    expect((await runFeast(copy, ['feature-views', 'list'])).stdout).toContain('spending')
  })

  it.each([
    ['empty', (path: string) => truncateSync(path, 0)],
    ['cut short', (path: string) => truncateSync(path, 100)],
    ['not a registry', (path: string) => writeFileSync(path, 'not a registry')],
  ])('a registry that is %s is an error, never an empty registry', async (_, spoil) => {
    const copy = copyOfRepo()
    spoil(join(copy, 'data/registry.db'))
    for (const args of [
      ['feature-views', 'list'],
      ['apply'],
      [...online, '-f', 'spending:amount_7d'],
      ['serve', '-p', '0'],
    ]) {
      const { code, stderr } = await runFeast(copy, args)
      expect(code).toBe(1)
      expect(stderr).toMatch(/Error: The registry at .*registry\.db.* cannot be read/)
    }
  })

  it('no registry yet', async () => {
    const copy = copyOfRepo()
    rmSync(join(copy, 'data/registry.db'))
    for (const args of [['feature-views', 'list'], ['registry-dump'], ['serve', '-p', '0']]) {
      const { code, stderr } = await runFeast(copy, args)
      expect(code).toBe(1)
      expect(stderr).toMatch(/There is no registry at .*registry\.db yet; run `feast apply` first/)
    }
  })

  it('a source that is gone', async () => {
    const copy = copyOfRepo()
    rmSync(join(copy, 'data/spending.parquet'))
    const now = new Date().toISOString()
    const run = await runFeast(copy, ['materialize', '2020-01-01', now])
    expect(run.code).toBe(1)
    expect(run.stdout + run.stderr).toMatch(/spending.*failed: .*spending\.parquet/)
  })

  it('an output folder that is a file', async () => {
    const copy = copyOfRepo()
    const args = [...historical, '--entities', 'rows.csv', '--output', 'rows.csv/x.parquet']
    const { code, stderr } = await runFeast(copy, args)
    expect(code).toBe(1)
    expect(stderr).toContain('rows.csv')
    expect(stderr).not.toContain('not foreseen')
  })
})

it('a port in use', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const address = other.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const { code, stderr } = await runFeast(repo, ['serve', '-p', String(address.port)])
  other.close()
  expect(code).toBe(1)
  expect(stderr).toContain(`127.0.0.1:${address.port} is already in use`)
})

it('--log-level debug shows the code and the stack', async () => {
  const { stderr } = await runFeast(repo, ['--log-level', 'DEBUG', 'entities', 'describe', 'usr'])
  expect(stderr).toMatch(/ENTITY_NOT_FOUND FeastError: .*\n\s+at /)
})
