import { describe, expect, it } from '@jest/globals'
import { COMMANDS, GROUPS } from '../../src/cli/command-table.js'
import { emptyFolder, runFeast } from './run-feast.js'

const folder = emptyFolder()

/** Feast's commands that this release has, by their own names. */
const FEAST_COMMANDS = [
  ...['init', 'apply', 'plan', 'teardown', 'configuration', 'validate', 'version', 'delete', 'registry-dump'],
  ...['materialize', 'materialize-incremental', 'get-online-features', 'get-historical-features', 'serve'],
  'listen',
  ...[
    ...['entities', 'data-sources', 'feature-views', 'on-demand-feature-views', 'stream-feature-views'],
    ...[
      'label-views',
      'feature-services',
      'saved-datasets',
      'validation-references',
      'permissions',
      'projects',
    ],
    'features',
  ].flatMap((group) => [`${group} list`, `${group} describe`]),
  ...['enable', 'disable', 'set-state', 'list-versions'].map((verb) => `feature-views ${verb}`),
  'projects current_project',
  'projects delete',
]

it('has the commands of Feast under their names', () => {
  const names = COMMANDS.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(FEAST_COMMANDS))
  expect(new Set(names).size).toBe(names.length)
})

it('shows every command with a line about it', async () => {
  const { code, stdout } = await runFeast(folder, ['--help'])
  expect(code).toBe(0)
  for (const name of [...COMMANDS.map((one) => one.name.split(' ')[0]!), ...Object.keys(GROUPS)]) {
    expect(stdout).toMatch(new RegExp(`^  ${name} .*\\w`, 'm'))
  }
})

it.each([...COMMANDS.map(({ name }) => name), ...Object.keys(GROUPS)])('helps with %s', async (name) => {
  const { code, stdout, stderr } = await runFeast(folder, [...name.split(' '), '--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(new RegExp(`^Usage: feast ${name} `))
  const spec = COMMANDS.find((one) => one.name === name)
  for (const [flags] of spec?.options ?? []) expect(stdout).toContain(flags)
})

describe('bad use exits with 2 and says what is known', () => {
  it.each<[args: readonly string[], message: string]>([
    [['aply'], "unknown command 'aply'"],
    [['aply'], 'Did you mean apply?'],
    [['entities', 'lst'], "unknown command 'lst'"],
    [['apply', '--prunee'], "unknown option '--prunee'"],
    [['apply', '--prunee'], 'Did you mean --prune?'],
    [['delete'], "missing required argument 'object_id'"],
    [['materialize-incremental'], "missing required argument 'end_ts'"],
    [['--log-level', 'loud', 'version'], 'Choose from debug, info, warning, error, critical.'],
    [['serve', '--port', '66000'], 'A port is a number from 0 to 65535.'],
    [['serve', '--type', 'grpc'], 'Choose from http.'],
    [['features', 'list', '--output', 'xml'], 'Choose from table, json.'],
    [['init', 'my-project'], '"my-project" cannot be a project\'s name'],
    [['init', '--template', 'gcp'], 'Choose from local.'],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await runFeast(folder, args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
  })

  it('shows help where a command is missing', async () => {
    for (const args of [[], ['entities']]) {
      const { code, stderr } = await runFeast(folder, args)
      expect(code).toBe(2)
      expect(stderr).toContain('Commands:')
    }
  })
})

it('prints the version for people and for programs', async () => {
  const text = await runFeast(folder, ['version'])
  expect(text.stdout).toMatch(/^feast-node \d+\.\d+\.\d+\nFeast SDK Version: "0\.66\.0"\n$/)
  const { stdout } = await runFeast(folder, ['version', '--json'])
  expect(JSON.parse(stdout)).toMatchObject({ feast: '0.66.0', node: process.versions.node })
})
