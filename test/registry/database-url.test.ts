import { describe, expect, it } from '@jest/globals'
import { parseDatabaseUrl } from '../../src/registry/sql/database-url.js'
import { postgresConnection } from '../../src/registry/sql/postgres-connection.js'
import { openSqlRegistry } from './open-sql-registry.js'

describe('database URL', () => {
  it.each([
    [
      'postgresql+psycopg://feast:p%40ss%2Fw:x@db.internal:5433/reg%20istry?sslmode=require&connect_timeout=5',
      {
        dialect: 'postgresql',
        user: 'feast',
        password: 'p@ss/w:x',
        host: 'db.internal',
        port: 5433,
        database: 'reg istry',
        shown: 'postgresql://feast@db.internal:5433/reg istry',
      },
    ],
    ['postgresql://[::1]:5432/x', { host: '::1', port: 5432, shown: 'postgresql://[::1]:5432/x' }],
    [
      'postgresql:///x?host=/var/run/postgresql',
      { host: undefined, database: 'x', shown: 'postgresql:///x' },
    ],
    ['postgresql://u:100%@h/x', { password: '100%' }],
    ['sqlite:///data/registry.db', { dialect: 'sqlite', database: 'data/registry.db', host: undefined }],
    ['sqlite+pysqlite:////var/lib/registry.db', { dialect: 'sqlite', database: '/var/lib/registry.db' }],
  ])('%s', (text, parts) => {
    expect(parseDatabaseUrl(text)).toMatchObject(parts)
  })

  it('becomes what the client wants, `connect_args` first', () => {
    const url = parseDatabaseUrl(
      'postgresql://u:p@h:1/d?connect_timeout=5&sslmode=disable&options=-csearch_path%3Dfeast',
    )
    expect(postgresConnection(url, { connect_timeout: 7, keepalives: 1 })).toEqual({
      connection: {
        user: 'u',
        password: 'p',
        host: 'h',
        port: 1,
        database: 'd',
        options: '-csearch_path=feast',
        connectionTimeoutMillis: 7000,
        ssl: false,
      },
      plainOtherwise: false,
    })
    const socket = parseDatabaseUrl('postgresql:///d?host=/run/postgresql&sslmode=require')
    expect(postgresConnection(socket, {}).connection).toMatchObject({ host: '/run/postgresql', ssl: false })
  })
})

describe('registry block', () => {
  it.each<[string, object, string]>([
    ['registry.db', {}, 'it is not a database URL such as'],
    ['mysql+pymysql://u:secret@h/d', {}, 'not in "mysql"'],
    ['sqlite://', {}, 'a registry in memory is gone'],
    ['sqlite://data/registry.db', {}, 'starts with three slashes'],
    ['postgresql://u:secret@h:99999/d', {}, 'its port is not a number'],
    ['postgresql://u:secret@h/d?host=a&host=b', {}, '"host" stands twice'],
    ['postgresql://u:secret@h/d?sslmode=maybe', {}, 'sslmode "maybe" is not known'],
    ['postgresql://u:secret@h/d?sslrootcert=/nowhere.pem&sslmode=verify-ca', {}, 'the file of sslrootcert'],
    ['postgresql://u:secret@h/d?target_session_attrs=any', {}, '"target_session_attrs" is not known here'],
    ['sqlite:///x.db', { read_path: 'oracle://u:secret@h/d' }, 'read_path'],
    ['sqlite:///x.db', { schema_mode: 'never' }, 'schema_mode'],
    ['postgresql://u:secret@h/d', { sqlalchemy_config_kwargs: { pool_size: 0 } }, 'pool_size'],
  ])('%s %j says what is wrong, and no secret', async (path, options, message) => {
    const error = await openSqlRegistry(path, options).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) })
    expect(error.message).not.toContain('secret')
  })

  it("takes Feast's keys that mean nothing here", async () => {
    const options = {
      sqlalchemy_config_kwargs: {
        echo: true,
        pool_pre_ping: true,
        connect_args: { check_same_thread: false },
      },
      thread_pool_executor_worker_count: 4,
      cache_mode: 'thread',
    }
    await (await openSqlRegistry('sqlite:///x.db', options)).close()
  })
})
