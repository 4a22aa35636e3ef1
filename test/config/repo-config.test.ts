// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the file under test expands them itself
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { loadRepoConfig, parseRepoConfig, type RepoConfig } from '../../src/config/repo-config.js'
import { parseStoreBlock } from '../../src/config/store-block.js'
import { temporaryFolder } from '../temporary-folder.js'

const parse = (text: string, env: Readonly<Record<string, string>> = {}): Promise<RepoConfig> =>
  parseRepoConfig(text, 'feature_store.yaml', '/repo', env)

describe('defaults', () => {
  it('makes a local store of a project name alone', async () => {
    expect(await parse('project: rides\n')).toMatchObject({
      repoPath: '/repo',
      project: 'rides',
      provider: 'local',
      registry: { type: 'file', path: 'data/registry.db', cacheTtlSeconds: 600, versioning: false },
      onlineStore: { type: 'sqlite', options: {} },
      offlineStore: { type: 'duckdb', options: {} },
      entityKeyVersion: 3,
      featureServer: { ttl: 'enforce', transformationServiceEndpoint: undefined, metrics: false },
      materialization: { onlineWriteBatchSize: undefined },
      auth: { type: 'no_auth' },
      warnings: [],
    })
  })

  it.each(['file', 'dask', 'feast.infra.offline_stores.dask.DaskOfflineStore'])(
    'reads the files of offline store %s with duckdb',
    async (type) => {
      const { offlineStore } = await parse(`project: rides\noffline_store: ${type}\n`)
      expect(offlineStore).toMatchObject({ type: 'duckdb', options: {} })
    },
  )

  it.each(['null', 'none', 'NULL', '~', ''])('has no online store for online_store: %s', async (text) => {
    expect((await parse(`project: rides\nonline_store: ${text}\n`)).onlineStore).toBeUndefined()
  })

  it('keeps a store type that it does not have', async () => {
    const { onlineStore } = await parse(
      'project: rides\nonline_store:\n  type: cassandra\n  hosts: [a, b]\n  keyspace: feast\n',
    )
    expect(onlineStore).toMatchObject({
      type: 'cassandra',
      options: { hosts: ['a', 'b'], keyspace: 'feast' },
    })
  })
})

it('loads a feature_store.yaml written for Python Feast', async () => {
  const config = await parse(`
project: credit_scoring
project_description: "Loans"
provider: aws
registry:
  registry_type: file
  registry_store_type: S3RegistryStore
  path: s3://bucket/registry.pb
  cache_ttl_seconds: 60
  cache_mode: thread
  s3_additional_kwargs: { ServerSideEncryption: AES256 }
  purge_feast_metadata: no
online_store:
  type: redis
  connection_string: "localhost:6379"
  key_ttl_seconds: 604800
offline_store:
  type: athena
  region: eu-west-1
batch_engine: local
entity_key_serialization_version: 2
feature_server:
  enabled: yes
  transformation_service_endpoint: "localhost:6569"
  metrics: { enabled: true, audit_logging: off }
  feature_logging: { enabled: False }
flags: { alpha_features: true }
coerce_tz_aware: false
materialization: { pull_latest_features: false, online_write_batch_size: 5000 }
openlineage: { enabled: false }
auth: { type: oidc, client_id: c, auth_discovery_url: "http://x" }
`)
  expect(config).toMatchObject({
    provider: 'aws',
    registry: { path: 's3://bucket/registry.pb', cacheTtlSeconds: 60 },
    onlineStore: { type: 'redis', options: { connection_string: 'localhost:6379', key_ttl_seconds: 604800 } },
    offlineStore: { type: 'athena', options: { region: 'eu-west-1' } },
    entityKeyVersion: 2,
    featureServer: { transformationServiceEndpoint: 'localhost:6569', metrics: true },
    materialization: { onlineWriteBatchSize: 5000 },
    auth: { type: 'oidc', options: { client_id: 'c' } },
  })
  expect(config.warnings).toEqual([expect.stringContaining('entity_key_serialization_version 2')])
})

it('takes limits of the feature server, each with a default', async () => {
  const limits = async (text: string) => (await parse(`project: rides\n${text}`)).featureServer.limits
  const defaults = { bodyBytes: 33_554_432, entityRows: 100_000, features: 10_000, inFlight: 1000 }
  expect(await limits('')).toEqual(defaults)
  expect(await limits('feature_server: { limits: { entity_rows: 500, in_flight: 20 } }')).toEqual({
    ...defaults,
    entityRows: 500,
    inFlight: 20,
  })
  await expect(limits('feature_server: { limits: { features: 0 } }')).rejects.toThrow(
    'feature_server.limits.features',
  )
  await expect(limits('feature_server: { limits: { rows: 5 } }')).rejects.toThrow(
    'feature_server.limits.rows',
  )
})

it('shows no secret in what it has understood', async () => {
  const { resolved } = await parse(`project: rides
registry: { registry_type: sql, path: "postgresql://feast:geheim@db/feast" }
online_store:
  type: redis
  connection_string: 'a:1,b:2,username=app,password=geheim,ssl_password=geheim,sentinel_kwargs={"password":"geheim"}'
offline_store: { type: trino, auth: { type: basic, config: { username: app, password: geheim } } }
batch_engine: { type: local, url: "https://app:geheim@host/" }
auth: { type: oidc, client_secret: geheim }
aws: { endpoint: "http://app:geheim@minio:9000" }
training: local
`)
  expect(JSON.stringify(resolved)).not.toContain('geheim')
  expect(resolved).toMatchObject({
    online_store: {
      connection_string: 'a:1,b:2,username=app,password=***,ssl_password=***,sentinel_kwargs=***',
    },
    aws: { endpoint: 'http://app:***@minio:9000' },
    training: 'local',
  })
})

describe('bad YAML', () => {
  const good = 'project: rides\n'
  it.each<[what: string, text: string, message: string]>([
    ['a tab', 'project: rides\nregistry:\n\tpath: x\n', 'feature_store.yaml:3:1: not valid YAML: '],
    ['an open quote', 'project: "rides\n', 'feature_store.yaml:2:1: not valid YAML: '],
    [
      'a key twice',
      'project: a\nproject: b\n',
      'feature_store.yaml:2:1: not valid YAML: Map keys must be unique',
    ],
    ['a list', '- project\n', 'feature_store.yaml:1:1: the file must hold keys and values'],
    ['nothing', '', 'feature_store.yaml:1:1: the file must hold keys and values'],
    ['no project', 'provider: local\n', 'feature_store.yaml: project: a name is required'],
    ['an empty project', 'project: ""\n', 'feature_store.yaml:1:1: project: a name is required'],
    [
      'a number as project',
      'project: 12\n',
      'feature_store.yaml:1:1: project: must be text, not 12; put it in quotes',
    ],
    [
      'a project with a blank',
      'project: my rides\n',
      'feature_store.yaml:1:1: project: "my rides" may only have',
    ],
    ['a project with _ first', 'project: _rides\n', 'must start with a letter or digit'],
    ['a project with - in sqlite', 'project: my-rides\n', 'the sqlite online store cannot hold; use "_"'],
    [
      'a misspelt key of feature_server',
      `${good}feature_server:\n  enabled: true\n  tttl: ignore\n`,
      'feature_store.yaml:4:3: feature_server.tttl: the key is not known here. Did you mean "ttl"?',
    ],
    [
      'a foreign key of feature_server',
      `${good}feature_server: { colour: red }\n`,
      'feature_store.yaml:2:19: feature_server.colour: the key is not known here. Known are type, enabled, ttl,',
    ],
    [
      'a misspelt key of registry',
      `${good}registry:\n  path: r.db\n  cache_ttl_second: 5\n`,
      'feature_store.yaml:4:3: registry.cache_ttl_second: the key is not known here. Did you mean "cache_ttl_seconds"?',
    ],
    [
      'a misspelt key of materialization',
      `${good}materialization:\n  online_write_batchsize: 5\n`,
      'feature_store.yaml:3:3: materialization.online_write_batchsize: the key is not known here. Did you mean "online_write_batch_size"?',
    ],
    [
      'no registry path',
      `${good}registry: { path: "" }\n`,
      'feature_store.yaml:2:1: registry: a path is required',
    ],
    [
      'a number as registry',
      `${good}registry: 5\n`,
      'feature_store.yaml:2:1: registry: must be a block of keys and values, not 5',
    ],
    [
      'text as cache ttl',
      `${good}registry: { path: r, cache_ttl_seconds: "5" }\n`,
      'must be a whole number of at least 0, not "5"',
    ],
    [
      'a negative cache ttl',
      `${good}registry: { path: r, cache_ttl_seconds: -1 }\n`,
      'must be a whole number of at least 0, not -1',
    ],
    [
      'a batch of nothing',
      `${good}materialization: { online_write_batch_size: 0 }\n`,
      'materialization.online_write_batch_size: must be a whole number of at least 1, not 0',
    ],
    [
      'text as flag',
      `${good}registry: { path: r, purge_feast_metadata: "no" }\n`,
      'registry.purge_feast_metadata: must be true or false, not "no"',
    ],
    [
      'a number as type',
      `${good}online_store: { type: 5 }\n`,
      'feature_store.yaml:2:17: online_store.type: must be text, not 5',
    ],
    [
      'a list as store',
      `${good}online_store: [sqlite]\n`,
      'feature_store.yaml:2:1: online_store: must be a block',
    ],
    [
      'a wrong ttl',
      `${good}feature_server:\n  ttl: ignored\n`,
      'feature_store.yaml:3:3: feature_server.ttl: "ignored" is not known; write one of enforce, ignore. Did you mean "ignore"?',
    ],
    [
      'an auth without type',
      `${good}auth: { client_id: x }\n`,
      'feature_store.yaml:2:1: auth: a type is required; write one of no_auth, kubernetes, oidc, token.',
    ],
    [
      'a wrong auth',
      `${good}auth: { type: oidcc }\n`,
      'auth.type: "oidcc" is not known; write one of no_auth, kubernetes, oidc, token. Did you mean "oidc"?',
    ],
    [
      'a wrong key version',
      `${good}entity_key_serialization_version: 4\n`,
      'feature_store.yaml:2:1: entity_key_serialization_version: 4 is not a version that can be read',
    ],
    [
      'an unset variable',
      `${good}registry:\n  path: "s3://\${BUCKET}/r.pb"\n`,
      'feature_store.yaml:3:9: the environment variable BUCKET is not set; set it, or write ${BUCKET:-default}',
    ],
  ])('%s: says where and how to mend it', async (_, text, message) => {
    await expect(parse(text)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
    })
  })

  it('warns of a key at the top that nobody knows, as Feast lets it pass', async () => {
    const { warnings } = await parse('project: rides\nonlinestore: redis\n')
    expect(warnings).toEqual([
      'feature_store.yaml:2:1: the key "onlinestore" is not known and was ignored. Did you mean "online_store"?',
    ])
  })

  it("warns of Feast's switches for what is not here", async () => {
    const { warnings } = await parse(
      'project: rides\nfeature_server:\n  offline_push_batching_enabled: true\n  mcp_enabled: false\n  feature_logging: {enabled: false}\n',
    )
    expect(warnings).toEqual([
      'feature_store.yaml:3:3: feature_server.offline_push_batching_enabled does nothing here; it is kept for Feast.',
    ])
  })

  it('checks a store block against the schema of its backend', async () => {
    const schema = z.strictObject({ path: z.string().default('data/online_store.db') })
    const block = async (text: string) => (await parse(`project: rides\nonline_store:\n${text}`)).onlineStore!
    expect(parseStoreBlock(await block('  type: sqlite\n'), schema)).toEqual({ path: 'data/online_store.db' })
    const parseText = async (text: string) => parseStoreBlock(await block(text), schema)
    await expect(parseText('  type: sqlite\n  pathh: x\n')).rejects.toThrow(
      'feature_store.yaml:4:3: online_store.pathh: the key is not known here. Did you mean "path"?',
    )
    await expect(parseText('  type: sqlite\n  colour: x\n')).rejects.toThrow('Known are type, path.')
    await expect(parseText('  type: sqlite\n  path: 5\n')).rejects.toThrow(
      /feature_store.yaml:4:3: online_store.path: .*expected string, received number; put it in quotes/,
    )
  })
})

describe('environment variables', () => {
  const pathWith = async (scalar: string, env: Readonly<Record<string, string>> = {}) =>
    (await parse(`project: rides\nregistry:\n  path: ${scalar}\n`, env)).registry.path

  it('expands all three forms', async () => {
    const env = { BUCKET: 'b', KEY: 'k' }
    expect(await pathWith('s3://$BUCKET/${KEY}/${NAME:-registry.pb}', env)).toBe('s3://b/k/registry.pb')
    expect(await pathWith("'${BUCKET}-x'", env)).toBe('b-x')
  })

  it('takes the default for an empty value, and an empty default', async () => {
    expect(await pathWith('${A:-x}y${B:-}', { A: '' })).toBe('xy')
  })

  it('leaves other dollar signs alone', async () => {
    expect(await pathWith('a$5-$-$${}${A:x}')).toBe('a$5-$-$${}${A:x}')
  })

  it('cannot be used to change the document', async () => {
    const config = await parse('project: rides\nregistry:\n  path: ${EVIL}\n  cache_ttl_seconds: 5\n', {
      EVIL: 'x # y\nproject: other\n"quoted": {a: [1]}',
    })
    expect(config.project).toBe('rides')
    expect(config.registry).toMatchObject({
      path: 'x # y\nproject: other\n"quoted": {a: [1]}',
      cacheTtlSeconds: 5,
    })
  })

  it('does not look again at what it put in, nor at comments', async () => {
    expect(await pathWith('${A} # ${UNSET}', { A: '${B}$C' })).toBe('${B}$C')
  })

  it('types a plain scalar anew and leaves a quoted one text', async () => {
    const env = { PORT: '6379', ON: 'true', NAME: 'x' }
    const { onlineStore } = await parse(
      'project: rides\nonline_store:\n  type: redis\n  port: ${PORT}\n  text: "${PORT}"\n  ssl: $ON\n  name: $NAME\n',
      env,
    )
    expect(onlineStore!.options).toEqual({ port: 6379, text: '6379', ssl: true, name: 'x' })
  })

  it('is told how to write a dollar sign that is meant', async () => {
    await expect(pathWith('pa$word')).rejects.toThrow('(for a plain dollar sign: ${word:-$word})')
    expect(await pathWith('pa${word:-$word}')).toBe('pa$word')
  })
})

describe('location', () => {
  const folder = () => temporaryFolder('config')
  const folderWith = (text: string, name = 'feature_store.yaml') => {
    const path = folder()
    writeFileSync(join(path, name), text)
    return path
  }

  it('is the folder given, else FEATURE_REPO_DIR_ENV_VAR', async () => {
    const a = folderWith('project: a\n')
    const b = folderWith('project: b\n')
    const env = { FEATURE_REPO_DIR_ENV_VAR: b }
    expect(await loadRepoConfig({ chdir: a, env })).toMatchObject({ project: 'a', repoPath: a })
    expect(await loadRepoConfig({ env })).toMatchObject({ project: 'b', repoPath: b })
  })

  it('is the file given, else FEAST_FS_YAML_FILE_PATH; paths in it start from the folder', async () => {
    const repo = folder()
    const a = join(folderWith('project: a\n', 'a.yaml'), 'a.yaml')
    const b = join(folderWith('project: b\n', 'b.yaml'), 'b.yaml')
    const env = { FEAST_FS_YAML_FILE_PATH: b }
    expect(await loadRepoConfig({ chdir: repo, file: a, env })).toMatchObject({
      project: 'a',
      repoPath: repo,
    })
    expect(await loadRepoConfig({ chdir: repo, env })).toMatchObject({ project: 'b', file: b })
  })

  it('is FEATURE_STORE_YAML_BASE64 before all of them', async () => {
    const env = { FEATURE_STORE_YAML_BASE64: Buffer.from('project: inline\n').toString('base64') }
    expect(await loadRepoConfig({ chdir: folderWith('project: a\n'), env })).toMatchObject({
      project: 'inline',
    })
    const bad = { FEATURE_STORE_YAML_BASE64: Buffer.from('project: [\n').toString('base64') }
    await expect(loadRepoConfig({ env: bad })).rejects.toThrow(
      'FEATURE_STORE_YAML_BASE64:2:1: not valid YAML',
    )
  })

  it('says where it looked', async () => {
    const repo = folder()
    await expect(loadRepoConfig({ chdir: repo, env: {} })).rejects.toMatchObject({
      code: 'CONFIG_NOT_FOUND',
      message: expect.stringContaining(join(repo, 'feature_store.yaml')),
    })
    await expect(loadRepoConfig({ chdir: repo, file: repo, env: {} })).rejects.toMatchObject({
      code: 'FILE_NOT_READABLE',
    })
  })
})
