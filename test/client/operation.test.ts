import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createFeastClient } from 'feast-node/client'
import { Int64, UnixTimestamp } from '../../src/core/value-type.js'
import { runFeast, textOf } from '../cli/run-feast.js'
import { hasRedis, NO_REDIS, RedisServer } from '../redis-server.js'
import { type ServedStore, serveStore } from './served-store.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TOTAL = { features: ['global_stats:total'], entities: [{}] }

async function writeTotal(served: ServedStore): Promise<void> {
  await served.write('global_stats', {
    total: { type: Int64, cells: [42n] },
    event_timestamp: { type: UnixTimestamp, cells: [1_780_000_000_000_000n] },
  })
}

;(hasRedis ? describe : describe.skip)(
  `a server that loses its Redis${hasRedis ? '' : ` [skipped: ${NO_REDIS}]`}`,
  () => {
    let redis: RedisServer
    let served: ServedStore
    beforeAll(async () => {
      redis = await RedisServer.start()
      served = await serveStore(`{ type: redis, connection_string: "${redis.address}" }`)
      await writeTotal(served)
    })
    afterAll(async () => {
      await served.stop()
      await redis.stop()
    })

    it.each(['http', 'grpc'] as const)('is asked over %s until it answers again', async (protocol) => {
      const url = `${protocol}://127.0.0.1:${protocol === 'http' ? served.httpPort : served.grpcPort}`
      const client = createFeastClient({ url, retries: 20, timeoutMs: 20_000 })
      expect((await client.getOnlineFeatures(TOTAL)).rows).toEqual([{ total: 42n }])
      await redis.kill()
      const once = client.getOnlineFeatures(TOTAL, { timeoutMs: 900 })
      await expect(once).rejects.toMatchObject({ retry: true })
      expect([await client.health(), await client.ready()]).toEqual([true, false])
      const patient = client.getOnlineFeatures(TOTAL)
      await redis.restart()
      await writeTotal(served)
      await patient
      expect((await client.getOnlineFeatures(TOTAL)).rows).toEqual([{ total: 42n }])
      client.close()
    })
  },
)

describe('over TLS', () => {
  const pem = (name: string) => readFileSync(join(ROOT, 'test/online-stores/tls', name))
  let served: ServedStore
  beforeAll(async () => {
    served = await serveStore(undefined, { key: pem('server.key'), cert: pem('server.pem') })
    await writeTotal(served)
  })
  afterAll(() => served.stop())

  it.each(['https', 'grpcs'] as const)('asks with %s whom it trusts, and nobody else', async (protocol) => {
    const url = `${protocol}://127.0.0.1:${protocol === 'https' ? served.httpPort : served.grpcPort}`
    const client = createFeastClient({ url, tls: { ca: pem('ca.pem'), servername: 'localhost' } })
    expect((await client.getOnlineFeatures(TOTAL)).rows).toEqual([{ total: 42n }])
    client.close()
    const wary = createFeastClient({ url, retries: 0 })
    await expect(wary.getOnlineFeatures(TOTAL)).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' })
    wary.close()
  })
})

describe('the built client', () => {
  let served: ServedStore
  beforeAll(async () => {
    await runFeast(ROOT, ['version'])
    served = await serveStore()
    await writeTotal(served)
  })
  afterAll(() => served.stop())

  it('loads nothing of the feature store, and lets its process end by itself', async () => {
    const program = `
      import { createFeastClient } from ${JSON.stringify(join(ROOT, 'dist/client.js'))}
      for (const url of process.argv.slice(1)) {
        const client = createFeastClient({ url })
        const { rows } = await client.getOnlineFeatures(${JSON.stringify(TOTAL)})
        console.log(rows[0].total)
      }
    `
    const urls = [`http://127.0.0.1:${served.httpPort}`, `grpc://127.0.0.1:${served.grpcPort}`]
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, ...urls])
    const [output, errors] = await Promise.all([textOf(child.stdout), textOf(child.stderr)])
    expect({ output, errors }).toEqual({ output: '42n\n42n\n', errors: '' })
  })

  it('is small', () => {
    const loaded = filesOf('client.js')
    const bytes = loaded.reduce((sum, file) => sum + readFileSync(join(ROOT, 'dist', file)).length, 0)
    expect(bytes).toBeLessThan(150_000)
    const packages = loaded.flatMap((file) => importsOf(file)).filter((path) => !path.startsWith('.'))
    expect(packages.filter((path) => !path.startsWith('node:'))).toEqual([])
  })
})

/** A built file and all that it imports, chunks included. */
function filesOf(file: string, found = new Set<string>()): readonly string[] {
  if (found.has(file)) return []
  found.add(file)
  const folder = file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : '.'
  for (const path of importsOf(file)) if (path.startsWith('.')) filesOf(join(folder, path), found)
  return [...found]
}

function importsOf(file: string): readonly string[] {
  const path = join(ROOT, 'dist', file)
  if (!existsSync(path)) throw new Error(`dist/${file} is not there: run \`npm run build\` first`)
  const text = readFileSync(path, 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?["']([^"']+)["']/g)].map(([, found]) => found!)
}
