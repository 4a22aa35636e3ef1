import { describe, expect, it } from '@jest/globals'
import { feastError, isFeastError, messageOf } from '../../src/core/errors.js'
import {
  type ConnectionString,
  parseConnectionString,
} from '../../src/online-stores/redis/connection-string.js'
import { keySlot } from '../../src/online-stores/redis/key-slot.js'
import { openRedis } from './redis-open.js'

const local = [{ host: 'localhost', port: 6379 }]

const GOOD: readonly (readonly [string, ConnectionString])[] = [
  ['localhost:6379', { nodes: local, options: {} }],
  ['localhost:6379,db=0', { nodes: local, options: { db: 0 } }],
  ['localhost:6379,db=3,ssl=true', { nodes: local, options: { db: 3, ssl: true } }],
  ['localhost:6379, ssl=false', { nodes: local, options: { ssl: false } }],
  ['ssl=1,localhost:6379', { nodes: local, options: { ssl: true } }],
  ['localhost:6379,ssl=True', { nodes: local, options: { ssl: true } }],
  ['localhost:6379,password=s3cret', { nodes: local, options: { password: 's3cret' } }],
  ['localhost:6379,password=a=b==', { nodes: local, options: { password: 'a=b==' } }],
  ['localhost:6379,password="12 3"', { nodes: local, options: { password: '12 3' } }],
  ['localhost:6379,password=007', { nodes: local, options: { password: '007' } }],
  [
    'localhost:6379,password=12345678901234567890',
    { nodes: local, options: { password: '12345678901234567890' } },
  ],
  ['localhost:6379,password=1e5', { nodes: local, options: { password: '1e5' } }],
  ['localhost:6379,password=null', { nodes: local, options: {} }],
  ['localhost:6379,password=', { nodes: local, options: {} }],
  ['localhost:6379,username=app,password=x', { nodes: local, options: { username: 'app', password: 'x' } }],
  [
    'a:1,b:2,c:3,skip_full_coverage_check=true,ssl=true,password=p',
    {
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
        { host: 'c', port: 3 },
      ],
      options: { ssl: true, password: 'p' },
    },
  ],
  ['[::1]:6379', { nodes: [{ host: '::1', port: 6379 }], options: {} }],
  [
    'localhost:6379,socket_timeout=0.5,socket_connect_timeout=2,client_name=serving,retry_on_timeout=true',
    {
      nodes: local,
      options: { socketTimeoutSeconds: 0.5, connectTimeoutSeconds: 2, clientName: 'serving' },
    },
  ],
  ['localhost:6379,socket_timeout=None', { nodes: local, options: {} }],
  [
    'localhost:6379,ssl=true,ssl_ca_certs=ca.pem,ssl_certfile=c.pem,ssl_keyfile=k.pem,ssl_cert_reqs=none,ssl_check_hostname=false,ssl_min_version=772',
    {
      nodes: local,
      options: {
        ssl: true,
        caFile: 'ca.pem',
        certFile: 'c.pem',
        keyFile: 'k.pem',
        verifyCertificate: false,
        verifyHostname: false,
        minVersion: 'TLSv1.3',
      },
    },
  ],
  [
    's:26379,sentinel_kwargs={"password":"x"}',
    { nodes: [{ host: 's', port: 26379 }], options: { sentinel: { password: 'x' } } },
  ],
]

const BAD: readonly (readonly [string, RegExp])[] = [
  ['', /must start with host:port/],
  ['localhost', /must start with host:port/],
  ['localhost:', /must start with host:port/],
  ['localhost:0', /must start with host:port/],
  ['localhost:70000', /must start with host:port/],
  ['::1:6379', /must start with host:port/],
  ['db=0', /names no host:port/],
  ['redis://localhost:6379', /instead of a URL/],
  ['localhost:6379,db=-1', /"db" must be a whole number/],
  ['localhost:6379,db=a', /"db" must be a whole number/],
  ['localhost:6379,ssl=False', /"ssl" must be true or false, in small letters/],
  ['localhost:6379,ssl=yes', /"ssl" must be true or false/],
  ['localhost:6379,socket_timeout=0', /"socket_timeout" must be a number of seconds/],
  ['localhost:6379,pasword=hunter2', /"pasword" is not known. Did you mean "password"/],
  ['localhost:6379,password=hunter2,hunter3', /Part 3 is no host:port.*comma/],
  ['localhost:6379,password=hunter2,hunter3=hunter4', /options is not known.*comma/],
  ['localhost:6379,password=true', /"password" must be text/],
  ['localhost:6379,ssl_cert_reqs=maybe', /required, optional or none/],
  ['localhost:6379,unix_socket_path=/tmp/redis.sock', /not known/],
  ['s:1,sentinel_kwargs=password', /JSON object/],
]

describe('connection_string', () => {
  it.each(GOOD)('%s', (text, parsed) => {
    expect(parseConnectionString(text)).toEqual(parsed)
  })

  it.each(BAD)('refuses %j', async (text, problem) => {
    const error = await openRedis({ connection_string: text }).catch((refused) => refused)
    expect(isFeastError(error, 'CONFIG_INVALID')).toBe(true)
    expect(messageOf(error)).toMatch(problem)
    expect(messageOf(error)).toContain('redis.connection_string')
    expect(messageOf(error)).not.toMatch(/hunter/)
  })

  it('names a file that cannot be read', async () => {
    await expect(
      openRedis({ connection_string: 'localhost:6379,ssl=true,ssl_ca_certs=/nowhere/ca.pem' }),
    ).rejects.toThrow(/connection_string: the file of ssl_ca_certs cannot be read.*nowhere/)
  })
})

describe('other keys', () => {
  it.each([
    [{ redis_typ: 'redis' }, /redis_typ.*Did you mean "redis_type"/],
    [{ redis_type: 'sentinel' }, /redis_type/],
    [{ redis_type: 'redis_cluster', connection_string: 'a:1,db=2' }, /cluster has no numbered databases/],
    [{ key_ttl_seconds: -1 }, /key_ttl_seconds/],
    [{ key_ttl_seconds: 1.5 }, /key_ttl_seconds/],
    [{ skip_dedup: 'no' }, /skip_dedup/],
    [{ connection_string: 6379 }, /put it in quotes/],
  ])('refuses %j', async (options, problem) => {
    await expect(openRedis(options)).rejects.toThrow(problem)
  })

  it('takes what Feast takes', async () => {
    for (const options of [
      {},
      { redis_type: 'redis_cluster', connection_string: 'a:1,b:2,db=0' },
      { redis_type: 'redis_sentinel', sentinel_master: 'main', connection_string: 'a:1' },
      { key_ttl_seconds: null, full_scan_for_deletion: null, skip_dedup: true },
      { key_ttl_seconds: 0 },
    ]) {
      const store = await openRedis(options)
      expect(store.infra([])).toEqual([])
      await store.close()
    }
  })

  it('opens no connection before it is asked for something', async () => {
    const store = await openRedis({ connection_string: '127.0.0.1:1' })
    await store.setup([])
    await store.close()
    const closed = await store
      .prepareRead({ features: [], views: ['v'] })
      .read([Buffer.from('k')])
      .catch(messageOf)
    expect(closed).toBe(
      messageOf(
        feastError('ONLINE_STORE_UNAVAILABLE', {
          store: 'Redis at 127.0.0.1:1',
          why: 'the store was closed',
        }),
      ),
    )
  })
})

describe('key slots', () => {
  it.each([
    ['123456789', 12739],
    ['foo', 12182],
    ['{foo}bar', 12182],
    ['x{foo}', 12182],
    ['{}foo', 9500],
  ])('%s', (text, slot) => {
    expect(keySlot(Buffer.from(text))).toBe(slot)
  })
})
