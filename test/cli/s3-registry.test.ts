import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { emptyFolder, runFeast } from './run-feast.js'

const bucket = mkdtempSync(join(tmpdir(), 'feast-s3-cli-'))
const s3 = new EmulatedS3(bucket, { buckets: ['feast'] })
const emulator = new AwsEmulator([s3])
let repo: string

beforeAll(async () => {
  await emulator.start()
  const folder = emptyFolder()
  await runFeast(folder, ['init', 'demo'])
  repo = join(folder, 'demo/feature_repo')
  useRegistry('s3://feast/team/registry.pb')
}, 60_000)
afterAll(async () => {
  await emulator.stop()
  rmSync(bucket, { recursive: true, force: true })
})

function useRegistry(path: string): void {
  const file = join(repo, 'feature_store.yaml')
  const [before, after] = readFileSync(file, 'utf8').split(/registry:[\s\S]*?(?=online_store:)/)
  const registry = `registry:\n  registry_store_type: S3RegistryStore\n  path: ${path}\n`
  const aws = `aws: { endpoint: "${emulator.endpoint}" }\n`
  writeFileSync(file, `${before}${registry}${after!.replace(/^aws:.*\n/m, '')}${aws}`)
}

async function feast(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runFeast(repo, args, EMULATOR_CREDENTIALS)
  expect({ args, code, stderr }).toEqual({
    args,
    code: 0,
    stderr: expect.not.stringMatching(/warning|error/i),
  })
  return stdout
}

it('every step from plan to teardown runs on a registry in S3', async () => {
  expect(await feast('plan')).toContain('Created feature view spending')
  expect(existsSync(s3.pathOf('s3://feast/team/registry.pb'))).toBe(false)
  expect(await feast('apply')).toContain('Created feature view spending')
  expect(await feast('apply')).toContain('No changes')
  expect(await feast('feature-views', 'list')).toContain('spending')
  await feast('materialize-incremental', new Date().toISOString())
  expect(
    emulator.count(/PutObject \/feast\/team\/registry\.pb\.leases\/demo\/spending\.json$/),
  ).toBeGreaterThan(0)
  expect(JSON.parse(await feast('registry-dump')).featureViews[0].meta.materializationIntervals).toHaveLength(
    1,
  )
  expect(await feast('get-online-features', '-e', 'user_id=7', '-s', 'limits')).toContain('payments_7d')
  await feast('teardown')
  const left = readdirSync(join(bucket, 'feast'), { recursive: true, encoding: 'utf8' })
  expect(left.filter((key) => /registry\.pb$|leases\//.test(key))).toEqual([])
}, 120_000)

it('a mistake is named with how to mend it, and the exit code is 1', async () => {
  useRegistry('s3://nowhere/registry.pb')
  const { code, stderr } = await runFeast(repo, ['apply'], EMULATOR_CREDENTIALS)
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining('there is no bucket "nowhere"'),
  })
  const unsigned = { AWS_EC2_METADATA_DISABLED: 'true', HOME: bucket }
  const { stderr: secretless } = await runFeast(repo, ['feature-views', 'list'], unsigned)
  expect(secretless).toContain('no AWS credentials were found. Set AWS_ACCESS_KEY_ID')
}, 60_000)
