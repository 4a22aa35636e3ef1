import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { runFeast, textOf } from '../cli/run-feast.js'
import { until } from '../until.js'

/** The examples below `deploy/` as cron and systemd would run them, on a repo made by `feast init`. */
const root = fileURLToPath(new URL('../..', import.meta.url))
const fileOf = (path: string) => readFileSync(join(root, 'deploy', path), 'utf8')
const canVerify = spawnSync('systemd-analyze', ['--version']).status === 0
const hasFlock = spawnSync('flock', ['--version']).status === 0

let folder: string
let repo: string
let env: Record<string, string>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-schedules-'))
  repo = join(folder, 'demo/feature_repo')
  expect((await runFeast(folder, ['init', 'demo'])).code).toBe(0)
  expect((await runFeast(repo, ['apply'])).code).toBe(0)
  // `feast` as npm installs it.
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'feast'), `#!/bin/sh\nexec "${process.execPath}" "${root}dist/cli.js" "$@"\n`)
  // No hour ends while the tests run.
  const now = Math.floor(Date.now() / 1000)
  writeFileSync(join(bin, 'date'), `#!/bin/sh\nexec /bin/date -d @${now} "$@"\n`)
  for (const program of ['feast', 'date']) chmodSync(join(bin, program), 0o755)
  env = {
    HOME: folder,
    LOGNAME: 'feast',
    PATH: `${bin}:/usr/bin:/bin`,
    REPO: repo,
    LOCK: join(folder, 'lock'),
  }
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Outcome {
  readonly code: number | null
  readonly output: string
}

async function run(command: string, args: readonly string[]): Promise<Outcome> {
  const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, code] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ])
  return { code, output: stdout + stderr }
}

/** Ends of what was materialized, newest run first. */
async function requests(): Promise<readonly string[]> {
  const { stdout } = await runFeast(repo, ['materialize', 'status', '--json'])
  return (JSON.parse(stdout) as { runs: { request: string }[] }).runs.map(({ request }) => request)
}

const AT_THE_HOUR = /^materialize-incremental \d{4}-\d\d-\d\dT\d\d:00:00Z$/

describe('deploy/cron/feast', () => {
  /** As cron reads a line of /etc/cron.d: five times, the user, and a command in which `\%` is `%`. */
  const [, schedule, command] = /^((?:\S+ ){5})\w+ (.+)$/m.exec(fileOf('cron/feast').replace(/^#.*$/gm, ''))!

  it('runs hourly, as cron would, up to the full hour', async () => {
    expect(schedule!.trim().split(' ')).toEqual(['17', '*', '*', '*', '*'])
    expect(command).not.toMatch(/(?<!\\)%/)
    const { code, output } = await run('/bin/sh', ['-c', command!.replaceAll('\\%', '%')])
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('rows in') })
    expect(await requests()).toEqual([expect.stringMatching(AT_THE_HOUR)])
    const again = await run('/bin/sh', ['-c', command!.replaceAll('\\%', '%')])
    expect(again).toEqual({ code: 0, output: expect.stringContaining('nothing to do') })
  }, 60_000)

  const ifFlock = hasFlock ? it : it.skip
  ifFlock(
    `leaves a run alone that still goes on${hasFlock ? '' : ': flock is not installed'}`,
    async () => {
      const holder = spawn('flock', [env['LOCK']!, 'sleep', '60'], { detached: true })
      try {
        await until(() => spawnSync('flock', ['-n', env['LOCK']!, 'true']).status === 1, 'the lock')
        expect(await run('/bin/sh', ['-c', command!.replaceAll('\\%', '%')])).toEqual({ code: 0, output: '' })
      } finally {
        spawnSync('pkill', ['-P', String(holder.pid)])
        holder.kill()
      }
    },
    60_000,
  )
})

describe('deploy/systemd', () => {
  const units = ['feast-materialize.service', 'feast-materialize.timer', 'feast-serve.service']
  /** In a unit `%%` is `%`; the quotes of these lines mean to a shell what they mean to systemd. */
  const execStart = (unit: string) =>
    /^ExecStart=(.+)$/m.exec(fileOf(`systemd/${unit}`))![1]!.replaceAll('%%', '%')

  const ifSystemd = canVerify ? it : it.skip
  ifSystemd(`is in order${canVerify ? '' : ': systemd-analyze is not installed'}`, async () => {
    const paths = units.map((unit) => join(root, 'deploy/systemd', unit))
    const { code, output } = await run('systemd-analyze', ['verify', '--man=no', ...paths])
    expect({ code, output }).toEqual({ code: 0, output: '' })
  })

  it('feast-materialize.service does what the cron line does', async () => {
    const { code, output } = await run('/bin/sh', ['-c', execStart('feast-materialize.service')])
    expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/rows in|nothing to do/) })
    expect((await requests())[0]).toMatch(AT_THE_HOUR)
  }, 60_000)

  it('feast-serve.service serves, and stops with the exit code that the unit expects', async () => {
    // The first process is the service itself, as for systemd, which starts no shell of its own.
    const child = spawn('/bin/sh', ['-c', `exec ${execStart('feast-serve.service')}`], {
      cwd: folder,
      env: { ...env, HOST: '127.0.0.1', PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)))
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    try {
      await until(() => /http:\/\/127\.0\.0\.1:\d+/.test(output), 'serving')
      const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(output)!
      expect((await fetch(`${url}/health`)).status).toBe(200)
    } finally {
      child.kill('SIGTERM')
    }
    const code = await ended
    const expected = /^SuccessExitStatus=(\d+)$/m.exec(fileOf('systemd/feast-serve.service'))![1]!
    expect([0, Number(expected)]).toContain(code)
  }, 60_000)
})
