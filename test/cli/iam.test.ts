import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { type IamRole, iamPolicy } from '../../src/cli/iam-policy.js'
import { parseRepoConfig } from '../../src/config/repo-config.js'
import { emptyFolder, runFeast } from './run-feast.js'

const CONFIG = parseRepoConfig(
  `project: rides
registry: s3://acme-feast/registry/registry.pb
offline_store: { type: athena, region: ap-northeast-2, database: feast, workgroup: feast, data_source: AwsDataCatalog, s3_staging_location: s3://acme-feast/staging/, scratch_database: scratch }
aws: { region: ap-northeast-2 }
batch_engine: { type: aws_batch, queue: feast, job_definition: feast }
training: { type: step_functions, role_arn: "arn:aws:iam::123456789012:role/sfn", job_role_arn: "arn:aws:iam::123456789012:role/jobs", runs_uri: "s3://acme-feast/runs/", code_uri: "s3://acme-feast/code/" }
models: { registry: { type: object_store, uri: s3://acme-feast/models/ }, logging: { uri: s3://acme-feast/predictions/ } }
`,
  'feature_store.yaml',
  '/repo',
  {},
)
const WAREHOUSE = { data: ['s3://acme-warehouse/features/'], tables: ['training_set', 'shared.scores'] }
const ROLES: readonly IamRole[] = ['server', 'admin', 'job', 'sfn', 'sagemaker', 'scheduler', 'ci']

/** Actions that know no resources. */
const EVERYWHERE = [
  'states:ListStateMachines',
  'states:ValidateStateMachineDefinition',
  'batch:DescribeJobs',
  'batch:TerminateJob',
  'ecr:GetAuthorizationToken',
]

describe('feast iam render', () => {
  it.each(ROLES)('%s: nothing is allowed everywhere that can be told apart', async (role) => {
    const { Statement } = iamPolicy(role, await CONFIG, WAREHOUSE)
    expect(Statement.length).toBeGreaterThan(0)
    for (const { Action, Resource, Sid } of Statement) {
      for (const action of Action) expect(action).toMatch(/^[a-z0-9]+:[A-Za-z]+$/)
      for (const resource of Resource) {
        if (resource === '*') expect(EVERYWHERE).toEqual(expect.arrayContaining([...Action]))
        else expect(resource).toMatch(/^arn:aws:[a-z0-9]+:[^:]*:[^:]*:[^*]/)
      }
      expect(Statement.filter((other) => other.Sid === Sid)).toHaveLength(1)
    }
  })

  it('the server reads, and writes predictions alone', async () => {
    const { Statement } = iamPolicy('server', await CONFIG)
    const writes = Statement.filter(({ Action }) =>
      Action.some((action) => !/:(Get|List|Describe)/.test(action)),
    )
    expect(writes.map(({ Resource }) => Resource)).toEqual([['arn:aws:s3:::acme-feast/predictions/*']])
  })

  it('names what feature_store.yaml names', async () => {
    const text = JSON.stringify(iamPolicy('job', await CONFIG, WAREHOUSE))
    for (const part of [
      'arn:aws:athena:ap-northeast-2:123456789012:workgroup/feast',
      'arn:aws:s3:::acme-feast/staging/*',
      'arn:aws:s3:::acme-warehouse/features/*',
      'arn:aws:s3:::acme-feast/registry/registry.pb',
      'arn:aws:glue:ap-northeast-2:123456789012:table/feast/*',
      'arn:aws:glue:ap-northeast-2:123456789012:table/scratch/feast_tmp_*',
    ]) {
      expect(text).toContain(part)
    }
  })

  it('keeps results in the tables that are named, and in no others', async () => {
    const { Statement } = iamPolicy('job', await CONFIG, WAREHOUSE)
    const allowed = (action: string) =>
      Statement.filter(({ Action }) => Action.includes(action)).flatMap(({ Resource }) =>
        Resource.map((resource) => resource.split(':').slice(5).join(':')).filter((one) =>
          one.startsWith('table/'),
        ),
      )
    expect(allowed('glue:UpdateTable')).toEqual(['table/feast/training_set', 'table/shared/scores'])
    const kept = ['table/feast/training_set__feast_*', 'table/shared/scores__feast_*']
    expect(allowed('glue:DeleteTable')).toEqual(['table/scratch/feast_tmp_*', ...kept])
    expect(allowed('glue:CreateTable').sort()).toEqual(
      [...allowed('glue:UpdateTable'), ...allowed('glue:DeleteTable')].sort(),
    )
    expect(JSON.stringify(iamPolicy('job', await CONFIG))).not.toContain('glue:UpdateTable')
  })

  it('published code is never replaced, and roles are passed to one service', async () => {
    const ci = iamPolicy('ci', await CONFIG).Statement.find(({ Action }) => Action.includes('s3:PutObject'))
    expect(ci!.Condition).toEqual({ StringEquals: { 's3:if-none-match': '*' } })
    const pass = iamPolicy('admin', await CONFIG).Statement.find(({ Action }) =>
      Action.includes('iam:PassRole'),
    )
    expect(pass).toMatchObject({
      Resource: ['arn:aws:iam::123456789012:role/sfn'],
      Condition: { StringEquals: { 'iam:PassedToService': ['states.amazonaws.com'] } },
    })
  })

  it('a repo without AWS needs nothing', async () => {
    const local = await parseRepoConfig('project: p\nregistry: r.db\n', 'feature_store.yaml', '/repo', {})
    for (const role of ROLES.filter((one) => one !== 'sagemaker' && one !== 'sfn' && one !== 'scheduler')) {
      expect(
        iamPolicy(role, local, WAREHOUSE)
          .Statement.flatMap(({ Resource }) => Resource)
          .filter((one) => one !== '*'),
      ).toEqual([])
    }
  })
})

it('the policy of the README is that of its feature_store.yaml', async () => {
  const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8')
  const section = readme.slice(readme.indexOf('## On AWS'))
  const fenced = (language: string) => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(section)![1]!
  const config = await parseRepoConfig(fenced('yaml'), 'feature_store.yaml', '/repo', {})
  expect(JSON.parse(fenced('json'))).toEqual(iamPolicy('job', config, { data: ['s3://acme-lake/features/'] }))
})

it('feast iam render prints the policy of the feature repo that it stands in', async () => {
  const folder = emptyFolder()
  try {
    const yaml = 'project: rides\nregistry: s3://acme-feast/registry.pb\naws: { region: us-east-1 }\n'
    writeFileSync(join(folder, 'feature_store.yaml'), yaml)
    const { code, stdout } = await runFeast(folder, [
      'iam',
      'render',
      '--role',
      'job',
      '--table',
      'training_set',
    ])
    expect(code).toBe(0)
    const config = await parseRepoConfig(yaml, 'feature_store.yaml', folder, {})
    expect(JSON.parse(stdout)).toEqual(iamPolicy('job', config, { tables: ['training_set'] }))
    expect(stdout).toContain('arn:aws:s3:::acme-feast/registry.pb')
    expect(await runFeast(folder, ['iam', 'render', '--role', 'root'])).toMatchObject({ code: 2 })
    for (const [flag, wrong] of [
      ['--data', 'lake'],
      ['--table', 'Rides*'],
    ] as const) {
      expect(await runFeast(folder, ['iam', 'render', flag, wrong])).toMatchObject({
        stdout: '',
        stderr: expect.stringContaining(wrong),
      })
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
