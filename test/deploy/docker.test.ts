import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { z } from 'zod'
import { parseRepoConfig } from '../../src/config/repo-config.js'
import { AwsEmulator } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { runFeast, startFeast, textOf } from '../cli/run-feast.js'
import { freePort } from '../free-port.js'
import { hasPostgres, NO_POSTGRES, PostgresServer } from '../postgres-server.js'
import { hasRedis, NO_REDIS } from '../redis-server.js'
import { until } from '../until.js'

// There may be no container engine where tests run: the files are checked as they stand, and what they would start is
// started without one.

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

const duration = z.string().regex(/^\d+s$/)
const command = z.array(z.string()).min(1)
const service = z.strictObject({
  image: z.string().regex(/^[a-z/-]+:(?!latest)\S*\d\S*$/),
  build: z.literal('.').optional(),
  command: command.optional(),
  entrypoint: command.optional(),
  environment: z.record(z.string(), z.string()).optional(),
  ports: z.array(z.string().regex(/^127\.0\.0\.1:(\d+):\1$/)).optional(),
  volumes: z.array(z.string()).optional(),
  depends_on: z
    .record(
      z.string(),
      z.strictObject({ condition: z.enum(['service_healthy', 'service_completed_successfully']) }),
    )
    .optional(),
  healthcheck: z
    .union([
      z.strictObject({ disable: z.literal(true) }),
      z.strictObject({
        test: command.refine(([kind]) => kind === 'CMD'),
        interval: duration,
        timeout: duration,
        retries: z.number(),
      }),
    ])
    .optional(),
  restart: z.literal('unless-stopped').optional(),
})
const compose = z.strictObject({
  name: z.string(),
  'x-feast': z.unknown(),
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.null()),
})

const { services, volumes } = compose.parse(parse(read('docker-compose.yml'), { merge: true }))
const at = (name: string) => services[name]!
const healthOf = (name: string) => {
  const { healthcheck } = at(name)
  return healthcheck && 'test' in healthcheck ? healthcheck.test.slice(1) : []
}

/** Instructions of the Dockerfile, with their lines joined. */
const instructions = read('Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ name: line.split(' ', 1)[0]!, rest: line.slice(line.indexOf(' ') + 1).trim() }))
const all = (name: string) => instructions.filter((one) => one.name === name).map(({ rest }) => rest)
const healthcheck = JSON.parse(/CMD (\[.*\])$/.exec(all('HEALTHCHECK')[0]!)![1]!) as string[]

describe('docker-compose.yml', () => {
  it('names services and volumes that are there', () => {
    expect(Object.keys(services)).toEqual(['server', 'apply', 'redis', 'postgres', 's3', 'bucket'])
    for (const { depends_on = {}, volumes: mounts = [] } of Object.values(services)) {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        expect(services).toHaveProperty(name)
        if (condition === 'service_healthy') expect(healthOf(name)).not.toEqual([])
      }
      for (const mount of mounts) {
        const source = mount.split(':')[0]!
        expect(source.startsWith('.') ? existsSync(join(ROOT, source)) : source in volumes).toBe(true)
      }
    }
  })

  it('what goes on running is restarted, looked at, and pinned to one version', () => {
    for (const name of ['redis', 'postgres', 's3']) {
      expect(healthOf(name).length).toBeGreaterThan(1)
      expect(at(name).restart).toBe('unless-stopped')
    }
    expect(at('server').restart).toBe('unless-stopped')
    expect(at('server').image).toBe(`feast-node:${JSON.parse(read('package.json')).version}`)
    expect(at('bucket').image).toBe(at('s3').image)
  })

  it('the configuration is complete, and leads to the services by the ports that they have', async () => {
    const text = read('compose/feature_store.yaml')
    const env = at('server').environment!
    const plain = { ...env, FEAST_REGISTRY_TYPE: 'file', FEAST_REGISTRY: 's3://feast/registry.pb' }
    const config = await parseRepoConfig(text, 'feature_store.yaml', '/repo', plain)
    expect(config).toMatchObject({
      warnings: [],
      registry: { type: 'file', path: 's3://feast/registry.pb' },
      onlineStore: { type: 'redis', options: { connection_string: 'redis:6379' } },
      aws: { endpoint: 'http://s3:9000' },
    })
    const port = (name: string) => at(name).ports![0]!.split(':')[2]
    expect([port('redis'), port('s3'), port('postgres')]).toEqual(['6379', '9000', '5432'])
    expect(env).toMatchObject({
      AWS_ACCESS_KEY_ID: at('s3').environment!['MINIO_ROOT_USER'],
      AWS_SECRET_ACCESS_KEY: at('s3').environment!['MINIO_ROOT_PASSWORD'],
    })
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = at('postgres').environment!
    expect(text).toContain(`postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD}@postgres:5432/${POSTGRES_DB}`)
    expect(at('bucket').environment!['MC_HOST_local']).toBe(
      `http://${env['AWS_ACCESS_KEY_ID']}:${env['AWS_SECRET_ACCESS_KEY']}@s3:9000`,
    )
    expect(at('bucket').entrypoint!.at(-1)).toBe('local/feast')
    expect(env['FEAST_FS_YAML_FILE_PATH']).toBe(at('server').volumes![1]!.split(':')[1])
  })
})

describe('Dockerfile', () => {
  it('is of pinned Debian slim images of one Node that the package takes, and does not run as root', () => {
    const bases = all('FROM').map((from) => from.split(' ')[0]!)
    expect(new Set(bases).size).toBe(1)
    const [, major, minor] = /^node:(\d+)\.(\d+)\.\d+-bookworm-slim$/.exec(bases[0]!)!
    const [, least, leastMinor] = /^>=(\d+)\.(\d+)$/.exec(JSON.parse(read('package.json')).engines.node)!
    expect(Number(major) * 1000 + Number(minor)).toBeGreaterThanOrEqual(
      Number(least) * 1000 + Number(leastMinor),
    )
    expect(all('USER')).toEqual(['node'])
    const last = (name: string) => instructions.findLastIndex((one) => one.name === name)
    expect(last('USER')).toBeGreaterThan(Math.max(last('RUN'), last('COPY'), last('FROM')))
    expect(all('ADD')).toEqual([])
  })

  it('holds no development packages', () => {
    const stages = all('FROM').map((from) => / AS (\w+)$/.exec(from)?.[1])
    expect(stages).toEqual(['build', 'packages', undefined])
    expect(all('RUN').filter((run) => run.startsWith('npm ci'))).toEqual(['npm ci', 'npm ci --omit=dev'])
    expect(all('COPY').filter((copy) => copy.includes('node_modules'))).toEqual([
      '--from=packages /app/node_modules ./node_modules',
    ])
  })

  it('copies what is there and is let in', () => {
    const letIn = read('.dockerignore').split('\n')
    expect(letIn[0]).toBe('*')
    const sources = all('COPY')
      .filter((copy) => !copy.startsWith('--from='))
      .flatMap((copy) => copy.split(' ').slice(0, -1))
    for (const source of sources) {
      expect({
        source,
        isThere: existsSync(join(ROOT, source)),
        isIn: letIn.includes(`!${source.replace('./', '')}`),
      }).toEqual({ source, isThere: true, isIn: true })
    }
  })

  it('opens the ports that `feast serve` has, and asks one of them how it is', () => {
    expect(all('EXPOSE')).toEqual(['6566 6567'])
    expect(at('server').ports).toEqual(['127.0.0.1:6566:6566', '127.0.0.1:6567:6567'])
    expect(healthcheck.join(' ')).toContain('127.0.0.1:6566/health')
    expect(JSON.parse(all('ENTRYPOINT')[0]!)).toEqual(['feast'])
    expect(JSON.parse(all('CMD')[0]!)).toEqual(at('server').command)
  })
})

describe('without containers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'feast-compose-'))
  const emulator = new AwsEmulator([new EmulatedS3(join(folder, 's3'), { buckets: ['feast'] })])
  const running: ChildProcess[] = []
  beforeAll(() => emulator.start())
  afterAll(async () => {
    for (const child of running) {
      child.kill('SIGKILL')
    }
    await emulator.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function codeOf([program, ...args]: readonly string[]): Promise<number | null> {
    const child = spawn(program!, args, { stdio: 'ignore' })
    const [code] = await once(child, 'close')
    return code
  }

  ;(hasRedis ? it : it.skip)(
    `redis, apply and server start and are healthy${hasRedis ? '' : ` (${NO_REDIS})`}`,
    async () => {
      const redisPort = String(await freePort())
      const [program, ...args] = at('redis').command!
      const redis = spawn(program!, [...args, '--port', redisPort, '--dir', folder], { stdio: 'ignore' })
      running.push(redis)
      const [look, ...ping] = healthOf('redis')
      await until(async () => (await codeOf([look!, '-p', redisPort, ...ping])) === 0, 'Redis')

      const env = {
        ...at('server').environment!,
        FEAST_FS_YAML_FILE_PATH: join(ROOT, 'compose/feature_store.yaml'),
        FEATURE_REPO_DIR_ENV_VAR: join(ROOT, 'feature_repo'),
        FEAST_REDIS: `127.0.0.1:${redisPort}`,
        FEAST_S3: emulator.endpoint,
        FEAST_REGISTRY_TYPE: 'file',
        FEAST_REGISTRY: 's3://feast/registry.pb',
      }
      const applied = await runFeast(folder, at('apply').command!, env)
      expect(applied).toMatchObject({ code: 0, stdout: expect.stringContaining('fraud_detection') })

      const port = await freePort()
      const ask = healthcheck.map((word) => word.replace('6566', String(port)))
      expect(await codeOf(ask)).toBe(1)
      const serve = [...at('server').command!, '--port', String(port), '--grpc-port', '0']
      const server = startFeast(folder, serve, env)
      running.push(server)
      const said = textOf(server.stderr)
      await until(async () => (await codeOf(ask)) === 0, 'the server')
      server.kill('SIGTERM')
      const [code] = await once(server, 'close')
      expect({ code, said: await said }).toMatchObject({ code: 0 })
    },
    60_000,
  )

  ;(hasPostgres ? it : it.skip)(
    `PostgreSQL is healthy${hasPostgres ? '' : ` (${NO_POSTGRES})`}`,
    async () => {
      const postgres = await PostgresServer.start()
      const ask = [...healthOf('postgres'), '--host', '127.0.0.1', '--port', String(postgres.port)]
      expect(await codeOf(ask)).toBe(0)
      await postgres.stop()
      expect(await codeOf(ask)).not.toBe(0)
    },
    60_000,
  )
})
