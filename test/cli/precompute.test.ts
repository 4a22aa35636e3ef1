import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { describeWithRedis } from '../online-stores/redis-open.js'
import { RedisServer } from '../redis-server.js'
import { emptyFolder, runFeast } from './run-feast.js'

describeWithRedis('feast precompute', () => {
  let server: RedisServer
  let repo: string

  const feast = (...args: readonly string[]) => runFeast(repo, args)

  beforeAll(async () => {
    server = await RedisServer.start()
    const folder = emptyFolder()
    repo = join(folder, 'demo/feature_repo')
    expect(await runFeast(folder, ['init', 'demo'])).toMatchObject({ code: 0 })
    edit('feature_store.yaml', (text) =>
      text.replace(
        /online_store:\n(?: {2}.*\n)+/,
        `online_store:\n  type: redis\n  connection_string: ${server.address}\n`,
      ),
    )
    expect(await feast('apply')).toMatchObject({ code: 0 })
  }, 60_000)
  afterAll(() => server?.stop())

  function edit(file: string, change: (text: string) => string): void {
    const path = join(repo, file)
    const before = readFileSync(path, 'utf8')
    const after = change(before)
    expect(after).not.toBe(before)
    writeFileSync(path, after)
  }

  it('makes vectors of what is online, and says how many', async () => {
    const none = await feast('precompute')
    expect(none).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('No feature service asks'),
    })
    const end = new Date().toISOString()
    expect(await feast('materialize-incremental', end)).toMatchObject({ code: 0 })
    const early = await feast('precompute', 'limits')
    expect(early.stdout).toMatch(/^limits: [1-9][\d,]* vectors in /)
    expect(early.stderr).toContain('Note: limits does not ask for vectors')
    edit('features.ts', (text) => text.replace("name: 'limits',", "name: 'limits', precomputeOnline: true,"))
    expect(await feast('apply')).toMatchObject({ code: 0 })
    const { code, stdout, stderr } = await feast('precompute', 'limits', '--json')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [report] = JSON.parse(stdout).services
    expect(report).toEqual({
      service: 'limits',
      outcome: 'done',
      entities: expect.any(Number),
      vectors: expect.any(Number),
      elapsed_ms: expect.any(Number),
    })
    expect(report.vectors).toBeGreaterThan(0)
    const run = await feast('materialize', '2020-01-01', end)
    expect(run.stdout).toMatch(/^limits: [\d,]+ vectors in /m)
    const json = JSON.parse((await feast('materialize', '2020-01-01', end, '--json')).stdout)
    expect(json.services).toEqual([expect.objectContaining({ service: 'limits', vectors: report.vectors })])
  }, 60_000)

  it('ends with 2 when the service is not there, with 1 when Redis is not', async () => {
    const unknown = await feast('precompute', 'limit')
    expect(unknown).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('Did you mean "limits"?'),
    })
    await server.stop()
    const away = await feast('precompute', 'limits')
    expect(away.code).toBe(1)
    expect(away.stdout).toMatch(/^limits: vectors not made: .*Redis/)
  }, 60_000)
})
