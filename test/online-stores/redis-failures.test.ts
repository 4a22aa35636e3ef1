import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from '@jest/globals'
import { isFeastError, messageOf } from '../../src/core/errors.js'
import type { OnlineStore } from '../../src/online-stores/online-store.js'
import { RedisAsker, RedisServer } from '../redis-server.js'
import { passOn, TcpProxy } from '../tcp-proxy.js'
import { until } from '../until.js'
import { describeWithRedis, firstValues, hexOf, key, openRedis, row, STATS, T0 } from './redis-open.js'

const cleanup: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

async function startServer(args: readonly string[] = [], options = {}): Promise<RedisServer> {
  const server = await RedisServer.start(args, options)
  cleanup.push(() => server.stop())
  return server
}

async function open(options: Record<string, unknown>): Promise<OnlineStore> {
  const store = await openRedis(options)
  cleanup.push(() => store.close())
  return store
}

const write = (store: OnlineStore, id: number, value: number, at = T0) =>
  store.write({ table: STATS, rows: [row(id, [value, value], at)] })

/** The error's code, or what came instead. */
const outcome = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error) => (isFeastError(error) ? error.code : `not a FeastError: ${messageOf(error)}`),
  )

async function proxyTo(target: number): Promise<TcpProxy> {
  const proxy = await TcpProxy.to(target)
  cleanup.push(() => proxy.close())
  return proxy
}

describeWithRedis('Redis away', () => {
  it('is ONLINE_STORE_UNAVAILABLE, and mends itself when it comes', async () => {
    const server = await startServer()
    const store = await open({ connection_string: server.address })
    await write(store, 1, 5)
    await server.kill()
    expect(await outcome(firstValues(store, [1]))).toBe('ONLINE_STORE_UNAVAILABLE')
    const error = await firstValues(store, [1]).catch((failed) => failed)
    expect(messageOf(error)).toContain(`Redis at ${server.address}`)
    expect(error.http).toBe(503)
    expect(error.retry).toBe(true)
    await server.restart()
    await until(async () => (await outcome(write(store, 1, 7))) === 'done')
    await until(async () => (await outcome(firstValues(store, [1]))) === 'done')
    expect(await firstValues(store, [1])).toEqual([hexOf(7)])
  })

  it('long ago is forgotten: all of the first who ask again are answered', async () => {
    const server = await startServer(['--appendonly', 'yes', '--appendfsync', 'always'])
    const store = await open({ connection_string: `${server.address},socket_timeout=2` })
    await write(store, 1, 5)
    await server.kill()
    for (let i = 0; i < 2; i++)
      expect(await outcome(firstValues(store, [1]))).toBe('ONLINE_STORE_UNAVAILABLE')
    await server.restart()
    await sleep(1000)
    const reads = await Promise.all(Array.from({ length: 20 }, () => outcome(firstValues(store, [1]))))
    expect(reads).toEqual(reads.map(() => 'done'))
  })

  it('for a moment is not noticed by those who have the time', async () => {
    const server = await startServer(['--appendonly', 'yes', '--appendfsync', 'always'])
    const store = await open({ connection_string: `${server.address},socket_timeout=20` })
    await write(store, 1, 5)
    await server.kill()
    const reading = firstValues(store, [1])
    const writing = write(store, 1, 6, T0 + 1n)
    await sleep(300)
    await server.restart()
    await writing
    expect([[hexOf(5)], [hexOf(6)]]).toContainEqual(await reading)
    expect(await firstValues(store, [1])).toEqual([hexOf(6)])
  })

  it('no acknowledged row is lost when it is killed under load', async () => {
    const server = await startServer(['--appendonly', 'yes', '--appendfsync', 'always'])
    const store = await open({ connection_string: `${server.address},socket_timeout=1` })
    const acknowledged = new Array<number>(8).fill(0)
    const seen = new Set<string>()
    let stopping = false
    const writers = acknowledged.map(async (_, id) => {
      for (let value = 1; !stopping; value++) {
        const what = await outcome(write(store, id, value, T0 + BigInt(value)))
        if (what === 'done') acknowledged[id] = value
        else seen.add(what)
      }
    })
    const readers = acknowledged.map(async (_, id) => {
      while (!stopping) {
        const before = acknowledged[id]!
        const what = await firstValues(store, [id]).catch((error) => error)
        if (!Array.isArray(what)) seen.add(isFeastError(what) ? what.code : messageOf(what))
        else if (before > 0) expect(valueOf(what[0])).toBeGreaterThanOrEqual(before)
      }
    })
    try {
      for (let round = 0; round < 4; round++) {
        await sleep(200)
        await server.kill()
        await sleep(round % 2 ? 1500 : 50)
        await server.restart()
      }
      await until(() => acknowledged.every((value) => value > 10), 'more than ten rows of each writer')
    } finally {
      stopping = true
    }
    await Promise.all([...writers, ...readers])
    expect([...seen].filter((code) => code !== 'ONLINE_STORE_UNAVAILABLE')).toEqual([])
    let final: readonly (string | null)[] = []
    const readAll = async () => {
      final = await firstValues(store, [...acknowledged.keys()])
    }
    await until(async () => (await outcome(readAll())) === 'done')
    final.forEach((hex, id) => {
      expect(valueOf(hex)).toBeGreaterThanOrEqual(acknowledged[id]!)
    })
  })

  /** Of an INT64 Value as hex. */
  function valueOf(hex: string | null): number {
    let value = 0
    for (const [place, byte] of [...Buffer.from(hex ?? '', 'hex').subarray(1)].entries()) {
      value += (byte & 0x7f) * 128 ** place
    }
    return value
  }

  it('and paused, it is answered in time; going on, it works', async () => {
    const server = await startServer()
    const store = await open({ connection_string: `${server.address},socket_timeout=0.3` })
    const isDone = async (work: Promise<unknown>) => (await outcome(work)) === 'done'
    await until(() => isDone(write(store, 1, 5)))
    server.signal('SIGSTOP')
    const outcomes = await Promise.all([
      outcome(firstValues(store, [1])),
      outcome(write(store, 2, 5)),
      outcome(firstValues(store, [1])),
    ])
    expect(outcomes).toEqual(new Array(3).fill('ONLINE_STORE_UNAVAILABLE'))
    for (let i = 0; i < 8; i++)
      expect(await outcome(firstValues(store, [1]))).toBe('ONLINE_STORE_UNAVAILABLE')
    server.signal('SIGCONT')
    let found: unknown
    const read = async () => {
      found = await firstValues(store, [1])
    }
    await until(() => isDone(read()))
    expect(found).toEqual([hexOf(5)])
    await until(() => isDone(write(store, 2, 6)))
  })

  it('requests do not pile up without bound', async () => {
    const server = await startServer()
    const store = await open({ connection_string: `${server.address},socket_timeout=2` })
    await write(store, 1, 5)
    await firstValues(store, [1])
    server.signal('SIGSTOP')
    const why = new Map<string, number>()
    await Promise.all(
      Array.from({ length: 15_000 }, () =>
        firstValues(store, [1]).catch((error) => {
          const text = /too many/.test(messageOf(error)) ? 'too many' : error.code
          why.set(text, (why.get(text) ?? 0) + 1)
        }),
      ),
    )
    server.signal('SIGCONT')
    expect(why.get('too many')).toBeGreaterThanOrEqual(5000)
    expect([...why.keys()].sort()).toEqual(['ONLINE_STORE_UNAVAILABLE', 'too many'])
  })
})

describeWithRedis('Redis refuses', () => {
  it('writes when it is full, and takes them again when it is not; reads go on', async () => {
    const server = await startServer()
    const store = await open({ connection_string: server.address })
    await write(store, 1, 5)
    await server.call('CONFIG', 'SET', 'maxmemory', '1')
    for (const store2 of [store, await open({ connection_string: server.address, skip_dedup: true })]) {
      const error = await write(store2, 1, 6, T0 + 1n).catch((failed) => failed)
      expect(isFeastError(error, 'ONLINE_STORE_FAILED')).toBe(true)
      expect(messageOf(error)).toMatch(/OOM.*raise its maxmemory/)
    }
    expect(await firstValues(store, [1])).toEqual([hexOf(5)])
    await server.call('CONFIG', 'SET', 'maxmemory', '0')
    await write(store, 1, 7, T0 + 2n)
    expect(await firstValues(store, [1])).toEqual([hexOf(7)])
  })

  it('writes while it is a replica; one that waits is done when it is a master again', async () => {
    const master = await startServer()
    const server = await startServer()
    const store = await open({ connection_string: `${server.address},socket_timeout=1` })
    await write(store, 1, 5)
    await server.call('REPLICAOF', '127.0.0.1', master.port)
    await until(async () =>
      String(await server.call('INFO', 'replication')).includes('master_link_status:up'),
    )
    const error = await write(store, 1, 6, T0 + 1n).catch((failed) => failed)
    expect(isFeastError(error, 'ONLINE_STORE_UNAVAILABLE')).toBe(true)
    expect(messageOf(error)).toMatch(/replica, not the master/)
    const patient = await open({ connection_string: `${server.address},socket_timeout=20` })
    const writing = write(patient, 1, 7, T0 + 2n)
    await sleep(200)
    await server.call('REPLICAOF', 'NO', 'ONE')
    await writing
    expect(await firstValues(store, [1])).toEqual([hexOf(7)])
  })

  it('a key that is no hash', async () => {
    const server = await startServer()
    const store = await open({ connection_string: server.address })
    await server.call('SET', Buffer.concat([key(1), Buffer.from('demo')]), 'text')
    for (const work of [() => write(store, 1, 5), () => firstValues(store, [1])]) {
      const error = await work().catch((failed) => failed)
      expect(isFeastError(error, 'ONLINE_STORE_FAILED')).toBe(true)
      expect(messageOf(error)).toMatch(/WRONGTYPE.*database of its own/)
    }
  })

  it('more clients than it may have', async () => {
    const server = await startServer()
    const asker = new RedisAsker(server.port)
    cleanup.push(() => asker.close())
    await asker.call('CONFIG', 'SET', 'maxclients', 1)
    const store = await open({ connection_string: `${server.address},socket_timeout=2` })
    const error = await firstValues(store, [1]).catch((failed) => failed)
    expect(isFeastError(error, 'ONLINE_STORE_UNAVAILABLE')).toBe(true)
    expect(messageOf(error)).toContain('max number of clients')
    await asker.call('CONFIG', 'SET', 'maxclients', 100)
    await until(async () => (await outcome(firstValues(store, [1]))) === 'done')
  })
})

describeWithRedis('a connection that breaks', () => {
  it('at any byte of an answer is asked again; no value is ever wrong', async () => {
    const server = await startServer()
    const direct = await open({ connection_string: server.address })
    const ids = Array.from({ length: 40 }, (_, id) => id)
    for (const id of ids) await write(direct, id, id * 1000)
    const expected = ids.map((id) => hexOf(id * 1000))
    const proxy = await proxyTo(server.port)
    const store = await open({ connection_string: `${proxy.address},socket_timeout=20` })
    expect(await firstValues(store, ids)).toEqual(expected)
    for (const bytes of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 50, 333, 600]) {
      let left = bytes
      let isCut = false
      proxy.answer = (chunk, client) => {
        if (isCut || chunk.includes('PONG')) return void client.write(chunk)
        client.write(chunk.subarray(0, left))
        left -= Math.min(left, chunk.length)
        if (left > 0) return
        isCut = true
        client.destroySoon()
      }
      expect(await firstValues(store, ids)).toEqual(expected)
      expect(isCut).toBe(true)
    }
  })

  it('because its answers are out of step: what was asked is asked again', async () => {
    const server = await startServer()
    const direct = await open({ connection_string: server.address })
    for (const id of [1, 2, 3]) await write(direct, id, id)
    const proxy = await proxyTo(server.port)
    const store = await open({ connection_string: `${proxy.address},socket_timeout=20` })
    expect(await firstValues(store, [1])).toEqual([hexOf(1)])
    let changed = 0
    proxy.answer = (chunk, client) => {
      const text = chunk.toString('latin1')
      const isRows = changed === 0 && text.includes('*2\r\n')
      if (isRows) changed++
      client.write(Buffer.from(isRows ? text.replace('*2\r\n', '*1\r\n') : text, 'latin1'))
    }
    expect(await firstValues(store, [1, 2, 3])).toEqual([1, 2, 3].map(hexOf))
    expect(changed).toBe(1)
  })

  it('during a write: the row is in, once and right', async () => {
    const server = await startServer()
    const proxy = await proxyTo(server.port)
    const store = await open({ connection_string: `${proxy.address},socket_timeout=20` })
    await write(store, 0, 0)
    for (let value = 1; value <= 10; value++) {
      let isCut = false
      proxy.answer = (chunk, client) => {
        if (isCut || chunk.includes('PONG')) return void client.write(chunk)
        isCut = true
        client.destroy()
      }
      await write(store, 1, value, T0 + BigInt(value))
      expect(isCut).toBe(true)
      proxy.answer = passOn
      expect(await firstValues(store, [1])).toEqual([hexOf(value)])
    }
  })

  it('because what answers is no Redis', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    cleanup.push(() => server.close())
    const { port } = server.address() as { port: number }
    const store = await open({ connection_string: `127.0.0.1:${port},socket_timeout=2` })
    const error = await firstValues(store, [1]).catch((failed) => failed)
    expect(isFeastError(error, 'ONLINE_STORE_UNAVAILABLE')).toBe(true)
    expect(messageOf(error)).toMatch(/not Redis's protocol/)
  })

  it('by silence after the connection is made', async () => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => void sockets.add(socket.on('error', () => {})))
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    cleanup.push(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    const { port } = server.address() as { port: number }
    const store = await open({
      connection_string: `127.0.0.1:${port},socket_timeout=0.5,socket_connect_timeout=0.2`,
    })
    expect(await outcome(firstValues(store, [1]))).toBe('ONLINE_STORE_UNAVAILABLE')
  })

  it('by our closing the store: what waits is answered', async () => {
    const server = await startServer()
    const store = await open({ connection_string: server.address })
    await firstValues(store, [1])
    server.signal('SIGSTOP')
    const reading = outcome(firstValues(store, [1]))
    await store.close()
    expect(await reading).toBe('ONLINE_STORE_UNAVAILABLE')
    expect(await outcome(write(store, 1, 1))).toBe('ONLINE_STORE_UNAVAILABLE')
    server.signal('SIGCONT')
  })
})

describeWithRedis('who may come in', () => {
  const SECRET = 'correct-horse'

  it('a password', async () => {
    const server = await startServer(['--requirepass', SECRET])
    const good = await open({ connection_string: `${server.address},password=${SECRET}` })
    await write(good, 1, 5)
    expect(await firstValues(good, [1])).toEqual([hexOf(5)])
    for (const [connection_string, words] of [
      [server.address, /NOAUTH.*Set username= and password=/],
      [`${server.address},password=wrong-${SECRET}`, /WRONGPASS.*to what the server expects/],
    ] as const) {
      const error = await firstValues(await open({ connection_string }), [1]).catch((failed) => failed)
      expect(isFeastError(error, 'ONLINE_STORE_FAILED')).toBe(true)
      expect(messageOf(error)).toMatch(words)
      expect(`${messageOf(error)} ${JSON.stringify(error.details)}`).not.toContain(SECRET)
    }
  })

  it('a password where none is expected', async () => {
    const server = await startServer()
    const store = await open({ connection_string: `${server.address},password=x` })
    const error = await firstValues(store, [1]).catch((failed) => failed)
    expect(isFeastError(error, 'ONLINE_STORE_FAILED')).toBe(true)
    expect(messageOf(error)).toMatch(/without any password configured.*Check username/)
  })

  it('a user with rights on hashes alone, and one with too few', async () => {
    const server = await startServer()
    const rights = [
      '+hmget',
      '+hset',
      '+expire',
      '+evalsha',
      '+eval',
      '+hget',
      '+scan',
      '+hkeys',
      '+hdel',
      '+unlink',
    ]
    await server.call('ACL', 'SETUSER', 'app', 'on', `>${SECRET}`, '~*', '-@all', ...rights)
    await server.call('ACL', 'SETUSER', 'reader', 'on', `>${SECRET}`, '~*', '-@all', '+hmget')
    await server.call('ACL', 'SETUSER', 'caller', 'on', `>${SECRET}`, '~*', '-@all', '+eval', '+evalsha')
    const app = await open({
      connection_string: `${server.address},username=app,password=${SECRET}`,
      key_ttl_seconds: 100,
    })
    await write(app, 1, 5)
    expect(await firstValues(app, [1])).toEqual([hexOf(5)])
    const reader = await open({ connection_string: `${server.address},username=reader,password=${SECRET}` })
    expect(await firstValues(reader, [1])).toEqual([hexOf(5)])
    const error = await write(reader, 1, 6, T0 + 1n).catch((failed) => failed)
    expect(isFeastError(error, 'ONLINE_STORE_FAILED')).toBe(true)
    expect(messageOf(error)).toMatch(/NOPERM.*Grant its user/)
    const caller = await open({ connection_string: `${server.address},username=caller,password=${SECRET}` })
    const inScript = await write(caller, 1, 6, T0 + 1n).catch((failed) => failed)
    expect(messageOf(inScript)).toMatch(/can't run this command.*Grant its user/)
    await app.teardown([STATS])
    expect(await server.call('DBSIZE')).toBe(0)
  })

  it('a database of its own', async () => {
    const server = await startServer()
    await write(await open({ connection_string: `${server.address},db=3` }), 1, 5)
    expect(await server.call('DBSIZE')).toBe(0)
    const error = await firstValues(await open({ connection_string: `${server.address},db=99` }), [1]).catch(
      (failed) => failed,
    )
    expect(messageOf(error)).toMatch(/out of range/)
  })

  const pem = (name: string) => fileURLToPath(new URL(`tls/${name}`, import.meta.url))

  it('TLS, the certificate checked unless told otherwise', async () => {
    const args = ['--tls-cert-file', pem('server.pem'), '--tls-key-file', pem('server.key')]
    const server = await startServer(
      [...args, '--tls-ca-cert-file', pem('ca.pem'), '--tls-auth-clients', 'no'],
      {
        isTls: true,
      },
    )
    for (const options of [`ssl_ca_certs=${pem('ca.pem')}`, 'ssl_cert_reqs=none']) {
      const store = await open({ connection_string: `${server.address},ssl=true,${options}` })
      await write(store, 1, 5)
      expect(await firstValues(store, [1])).toEqual([hexOf(5)])
    }
    const strict = await open({ connection_string: `${server.address},ssl=true,socket_timeout=0.5` })
    expect(messageOf(await firstValues(strict, [1]).catch((failed) => failed))).toMatch(/certificate/)
    const plain = await open({ connection_string: `${server.address},socket_timeout=0.5` })
    expect(await outcome(firstValues(plain, [1]))).toBe('ONLINE_STORE_UNAVAILABLE')
  })

  it('TLS with a certificate of the client', async () => {
    const args = ['--tls-cert-file', pem('server.pem'), '--tls-key-file', pem('server.key')]
    const server = await startServer([...args, '--tls-ca-cert-file', pem('ca.pem')], { isTls: true })
    const ours = `ssl=true,ssl_ca_certs=${pem('ca.pem')}`
    const known = `ssl_certfile=${pem('server.pem')},ssl_keyfile=${pem('server.key')}`
    const store = await open({ connection_string: `${server.address},${ours},${known}` })
    await write(store, 1, 5)
    const stranger = await open({ connection_string: `${server.address},${ours},socket_timeout=0.5` })
    expect(await outcome(firstValues(stranger, [1]))).toBe('ONLINE_STORE_UNAVAILABLE')
  })
})
