import { readFile } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import type { AwsSettings } from '../core/aws-settings.js'
import { parseDuration } from '../core/duration.js'
import { feastError, messageOf } from '../core/errors.js'
import { nearest } from '../core/nearest.js'
import { type ConfigFile, invalid, parseConfigFile } from './config-file.js'
import type { Environment } from './environment-variables.js'

/** feature_store.yaml, checked and with defaults filled in. Store blocks stay raw: their backends parse them. */
export interface RepoConfig {
  /** Absolute path of the folder that relative paths start from. */
  readonly repoPath: string
  /** The file it came from, for messages. */
  readonly file: string
  readonly project: string
  readonly projectDescription: string
  readonly provider: string
  readonly registry: StoreBlock & {
    readonly path: string
    readonly cacheTtlSeconds: number
    readonly versioning: boolean
  }
  /** undefined = `online_store: null`. */
  readonly onlineStore: StoreBlock | undefined
  readonly offlineStore: StoreBlock
  readonly entityKeyVersion: 2 | 3
  readonly featureServer: {
    readonly ttl: 'enforce' | 'ignore'
    readonly transformationServiceEndpoint: string | undefined
    readonly metrics: boolean
    readonly limits: ServerLimits
  }
  readonly materialization: {
    readonly onlineWriteBatchSize: number | undefined
    /** URI of a folder for rows between the query and the online store; default: the offline store's own. */
    readonly staging: string | undefined
    /** How much before the end of the last run an incremental run starts, unless told. */
    readonly lookbackSeconds: number
  }
  /** Who may call the server; only commands that serve look into it. */
  readonly auth: StoreBlock
  /** How all AWS services are reached. */
  readonly aws: AwsSettings
  /** What runs materializations; `local` unless told. */
  readonly batchEngine: StoreBlock
  /** Where models are kept and how they are served; `src/models` checks it. undefined = no models here. */
  readonly models: StoreBlock | undefined
  /** What runs training pipelines; `src/training` checks it. `local` unless told. */
  readonly training: StoreBlock
  /** Everything as read, defaults included: what `feast configuration` prints. */
  readonly resolved: Readonly<Record<string, unknown>>
  readonly warnings: readonly string[]
}

/** What one request, and all of one server process together, may ask for. */
export interface ServerLimits {
  readonly bodyBytes: number
  /** Rows of one lookup. */
  readonly entityRows: number
  /** Feature references of one lookup. */
  readonly features: number
  /** Lookups and writes at the same time; more are turned away. */
  readonly inFlight: number
}

/** One store's block: its `type:` and the other keys as they stand in the file. */
export interface StoreBlock {
  readonly type: string
  readonly options: Readonly<Record<string, unknown>>
  /** Where it stands, for messages; absent when it was not read from a file. */
  readonly origin?: StoreBlockOrigin
}

export interface StoreBlockOrigin {
  readonly file: string
  /** `online_store`, `offline_store` or `registry`. */
  readonly path: string
  /** `line:column` of a key of the block. */
  position(key: string): string | undefined
}

export interface RepoLocation {
  /** Folder of the feature repo; relative paths in the file start there. Default: the working directory. */
  readonly chdir?: string | undefined
  /** feature_store.yaml, if it is not in that folder. */
  readonly file?: string | undefined
  readonly env?: Environment
}

type Raw = Readonly<Record<string, unknown>>

/**
 * Finds, reads and checks feature_store.yaml: `FEATURE_STORE_YAML_BASE64` (the file itself, base64) before
 * `file` before `FEAST_FS_YAML_FILE_PATH` before `<repo>/feature_store.yaml`; the repo is `chdir`, else
 * `FEATURE_REPO_DIR_ENV_VAR`, else the working directory.
 * @throws CONFIG_NOT_FOUND, CONFIG_INVALID with line and column
 */
export async function loadRepoConfig(location: RepoLocation = {}): Promise<RepoConfig> {
  const env = location.env ?? process.env
  const repoPath = resolve(location.chdir ?? (env['FEATURE_REPO_DIR_ENV_VAR'] || '.'))
  const base64 = env['FEATURE_STORE_YAML_BASE64']
  if (base64) {
    const text = Buffer.from(base64, 'base64').toString('utf8')
    return parseRepoConfig(text, 'FEATURE_STORE_YAML_BASE64', repoPath, env)
  }
  const named = location.file ?? env['FEAST_FS_YAML_FILE_PATH']
  const file = named ? resolve(named) : join(repoPath, 'feature_store.yaml')
  return parseRepoConfig(await readConfigText(file), file, repoPath, env)
}

async function readConfigText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw feastError('CONFIG_NOT_FOUND', { path: file })
    }
    throw feastError('FILE_NOT_READABLE', { path: file, why: messageOf(error) }, error)
  }
}

/** Checks the text of a feature_store.yaml. `file` is only for messages. @throws CONFIG_INVALID */
export async function parseRepoConfig(
  text: string,
  file: string,
  repoPath: string,
  env: Environment = process.env,
): Promise<RepoConfig> {
  const source = await parseConfigFile(text, file, env)
  const { data } = source
  const onlineStore = onlineBlock(source)
  const project = projectName(source, onlineStore)
  const registry = registryBlock(source)
  const offlineStore = offlineBlock(source)
  const featureServer = block(source, 'feature_server', FEATURE_SERVER_KEYS)
  const materialization = block(source, 'materialization', MATERIALIZATION_KEYS)
  const entityKeyVersion = keyVersion(source)
  const provider = textAt(source, data, 'provider', '', 'local')
  const auth = authBlock(source)
  const batchEngine = storeBlock(source, 'batch_engine', data['batch_engine'], 'local')
  return {
    repoPath: isAbsolute(repoPath) ? repoPath : resolve(repoPath),
    file,
    project,
    projectDescription: textAt(source, data, 'project_description', '', ''),
    provider,
    registry,
    onlineStore,
    offlineStore,
    entityKeyVersion,
    featureServer: {
      ttl: choice(source, featureServer, 'ttl', 'feature_server', ['enforce', 'ignore']),
      transformationServiceEndpoint:
        textAt(source, featureServer, 'transformation_service_endpoint', 'feature_server', '') || undefined,
      metrics: metricsEnabled(source, featureServer),
      limits: serverLimits(source, featureServer),
    },
    materialization: {
      onlineWriteBatchSize: batchSize(source, materialization),
      staging: stagingUri(source, materialization, repoPath),
      lookbackSeconds: lookback(source, materialization),
    },
    auth,
    aws: awsBlock(source),
    batchEngine,
    models: data['models'] == null ? undefined : plainBlock(source, 'models'),
    training: storeBlock(source, 'training', data['training'], 'local'),
    resolved: withoutSecrets({
      project,
      provider,
      registry: resolvedRegistry(registry),
      online_store: onlineStore ? { type: onlineStore.type, ...onlineStore.options } : null,
      offline_store: { type: offlineStore.type, ...offlineStore.options },
      batch_engine: { type: batchEngine.type, ...batchEngine.options },
      auth: { type: auth.type, ...auth.options },
      ...(data['feature_server'] ? { feature_server: featureServer } : {}),
      ...(data['materialization'] ? { materialization } : {}),
      ...Object.fromEntries(OUR_BLOCKS.filter((key) => data[key] != null).map((key) => [key, data[key]])),
      entity_key_serialization_version: entityKeyVersion,
    }),
    warnings: [...warningsOf(source, entityKeyVersion), ...idleKeys(source)],
  }
}

const TOP_LEVEL_KEYS = [
  'project',
  'project_description',
  'provider',
  'registry',
  'online_store',
  'offline_store',
  'batch_engine',
  'auth',
  'feature_server',
  'embedding_model',
  'flags',
  'entity_key_serialization_version',
  'coerce_tz_aware',
  'materialization',
  'openlineage',
  'mlflow',
  'data_quality_monitoring',
  'aws',
  'models',
  'training',
]

/** Blocks that Feast does not know, and passes over. */
const OUR_BLOCKS = ['aws', 'models', 'training'] as const

const FEATURE_SERVER_KEYS = [
  'type',
  'enabled',
  'ttl',
  'transformation_service_endpoint',
  'metrics',
  'limits',
  'feature_logging',
  'offline_push_batching_enabled',
  'offline_push_batching_batch_size',
  'offline_push_batching_batch_interval_seconds',
  'mcp_enabled',
  'mcp_server_name',
  'mcp_server_version',
  'mcp_transport',
]

const MATERIALIZATION_KEYS = ['pull_latest_features', 'online_write_batch_size', 'staging', 'lookback']

/** Feast lets any key stand here; these are the ones that mean something, to it or to us. */
const REGISTRY_KEYS = [
  'registry_type',
  'registry_store_type',
  'path',
  'cache_ttl_seconds',
  'cache_mode',
  's3_additional_kwargs',
  's3_endpoint_override',
  'purge_feast_metadata',
  'enable_online_feature_view_versioning',
  'mcp',
  'account_id',
]

/** Feast's, for registries in a database. */
const SQL_REGISTRY_KEYS = [
  'read_path',
  'sqlalchemy_config_kwargs',
  'thread_pool_executor_worker_count',
  'schema_mode',
]

function warningsOf(source: ConfigFile, entityKeyVersion: 2 | 3): readonly string[] {
  const warnings = Object.keys(source.data)
    .filter((key) => !TOP_LEVEL_KEYS.includes(key))
    .map((key) => {
      const at = source.positions.get(key)
      return `${source.file}${at ? `:${at}` : ''}: the key "${key}" is not known and was ignored.${didYouMean(key, TOP_LEVEL_KEYS)}`
    })
  if (entityKeyVersion === 2) {
    warnings.push(
      `${source.file}: entity_key_serialization_version 2 is kept for stores that were written with it; new projects use 3.`,
    )
  }
  return warnings
}

/** Feast's switches that turn on what is not here: taken, so that one file serves both, but not in silence. */
const IDLE_SWITCHES = [
  ['registry', 'purge_feast_metadata'],
  ['feature_server', 'feature_logging'],
  ['feature_server', 'offline_push_batching_enabled'],
  ['feature_server', 'mcp_enabled'],
] as const

function idleKeys(source: ConfigFile): readonly string[] {
  return IDLE_SWITCHES.flatMap(([path, key]) => {
    const given = source.data[path]
    if (typeof given !== 'object' || given === null) return []
    const value = (given as Raw)[key]
    const isOn =
      typeof value === 'object' && value !== null
        ? (value as Raw)['enabled'] !== false
        : flag(source, given as Raw, key, path)
    if (!isOn) return []
    const at = source.positions.get(`${path}.${key}`)
    return [`${source.file}${at ? `:${at}` : ''}: ${path}.${key} does nothing here; it is kept for Feast.`]
  })
}

function projectName(source: ConfigFile, onlineStore: StoreBlock | undefined): string {
  const name = source.data['project']
  if (name === undefined || name === null || name === '') throw fail(source, 'project', 'a name is required')
  if (typeof name !== 'string')
    throw fail(source, 'project', `must be text, not ${show(name)}; put it in quotes`)
  if (!/^[\p{L}\p{N}][\p{L}\p{N}_-]*$/u.test(name)) {
    throw fail(
      source,
      'project',
      `${show(name)} may only have letters, digits, "_" and "-", and must start with a letter or digit`,
    )
  }
  if (name.includes('-') && onlineStore?.type === 'sqlite') {
    throw fail(
      source,
      'project',
      `${show(name)} has a "-", which the table names of the sqlite online store cannot hold; use "_"`,
    )
  }
  return name
}

function registryBlock(source: ConfigFile): RepoConfig['registry'] {
  const value = source.data['registry'] ?? 'data/registry.db'
  const options = typeof value === 'string' ? { path: value } : mapOf(source, 'registry', value)
  const type = textAt(source, options, 'registry_type', 'registry', 'file')
  if (type === 'file') refuseUnknownKeys(source, 'registry', options, REGISTRY_KEYS)
  if (type === 'sql') refuseUnknownKeys(source, 'registry', options, [...REGISTRY_KEYS, ...SQL_REGISTRY_KEYS])
  const path = textAt(source, options, 'path', 'registry', '')
  if (path === '') throw fail(source, 'registry', 'a path is required, such as "path: data/registry.db"')
  return {
    type,
    options,
    path,
    cacheTtlSeconds: wholeNumber(source, options, 'cache_ttl_seconds', 'registry', 600, 0),
    versioning: flag(source, options, 'enable_online_feature_view_versioning', 'registry'),
    origin: originOf(source, 'registry'),
  }
}

function resolvedRegistry(registry: RepoConfig['registry']): Raw {
  return {
    registry_type: registry.type,
    ...registry.options,
    cache_ttl_seconds: registry.cacheTtlSeconds,
    enable_online_feature_view_versioning: registry.versioning,
  }
}

/** Feast's class paths stand for the types we have. */
const TYPES_OF_CLASSES: Readonly<Record<string, string>> = {
  SqliteOnlineStore: 'sqlite',
  RedisOnlineStore: 'redis',
  DynamoDBOnlineStore: 'dynamodb',
  PostgreSQLOnlineStore: 'postgres',
  DaskOfflineStore: 'dask',
  DuckDBOfflineStore: 'duckdb',
  AthenaOfflineStore: 'athena',
  TrinoOfflineStore: 'trino',
}

function onlineBlock(source: ConfigFile): StoreBlock | undefined {
  const value = source.data['online_store']
  if (value === null || (typeof value === 'string' && /^(none|null)$/i.test(value))) return undefined
  return storeBlock(source, 'online_store', value, 'sqlite')
}

/** Feast's local stores (`file`, `dask`) read Parquet files with pandas; DuckDB reads the same files here. */
function offlineBlock(source: ConfigFile): StoreBlock {
  const block = storeBlock(source, 'offline_store', source.data['offline_store'], 'duckdb')
  return block.type === 'file' || block.type === 'dask' ? { ...block, type: 'duckdb', options: {} } : block
}

function storeBlock(source: ConfigFile, path: string, value: unknown, type: string): StoreBlock {
  const map = typeof value === 'string' ? { type: value } : mapOf(source, path, value ?? {})
  const { type: _, ...options } = map
  const given = textAt(source, map, 'type', path, type)
  return {
    type: TYPES_OF_CLASSES[given.split('.').at(-1)!] ?? given,
    options,
    origin: originOf(source, path),
  }
}

function originOf(source: ConfigFile, path: string): StoreBlockOrigin {
  return {
    file: source.file,
    path,
    position: (key) =>
      source.positions.get(key === '' ? path : `${path}.${key}`) ?? source.positions.get(path),
  }
}

const AWS_KEYS = ['region', 'endpoint', 'profile', 'path_style', 'request_checksum']

function awsBlock(source: ConfigFile): AwsSettings {
  const map = block(source, 'aws', AWS_KEYS)
  const text = (key: string) => textAt(source, map, key, 'aws', '') || undefined
  return {
    region: text('region'),
    endpoint: text('endpoint'),
    profile: text('profile'),
    pathStyle: map['path_style'] === undefined ? undefined : flag(source, map, 'path_style', 'aws'),
    requestChecksum: choice(source, map, 'request_checksum', 'aws', ['when_supported', 'when_required']),
  }
}

/** A block without a `type`, checked by whoever uses it. */
function plainBlock(source: ConfigFile, path: string): StoreBlock {
  return { type: path, options: mapOf(source, path, source.data[path]), origin: originOf(source, path) }
}

/** Feast's, and `token`: bearer tokens that stand in the file. */
const AUTH_TYPES = ['no_auth', 'kubernetes', 'oidc', 'token']

function authBlock(source: ConfigFile): RepoConfig['auth'] {
  const value = source.data['auth']
  if (value === undefined || value === null) return { type: 'no_auth', options: {} }
  const map = mapOf(source, 'auth', typeof value === 'string' ? { type: value } : value)
  const type = map['type']
  if (typeof type !== 'string' || !AUTH_TYPES.includes(type)) {
    throw fail(source, type === undefined ? 'auth' : 'auth.type', oneOf(type, AUTH_TYPES))
  }
  const { type: _, ...options } = map
  return { type, options, origin: originOf(source, 'auth') }
}

/** `feast configuration` prints what is understood; its output ends up in tickets. */
function withoutSecrets(value: Raw): Raw {
  const shown = (key: string, one: unknown): unknown => {
    if (typeof one === 'string') return SECRET_KEYS.includes(key) ? '***' : withoutPassword(one)
    if (Array.isArray(one)) return one.map((each) => shown('', each))
    return typeof one === 'object' && one !== null ? withoutSecrets(one as Raw) : one
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shown(key, one)]))
}

/** A URL holds its password up to the `@`, Redis's `connection_string` among its options. */
function withoutPassword(text: string): string {
  return text
    .replace(/^([\w+]+:\/\/[^:/]*:)[^@]*@/, '$1***@')
    .replace(/((?:^|,)\s*\w*(?:password|kwargs)=)[^,]*/g, '$1***')
}

const SECRET_KEYS = ['token', 'user_token', 'password', 'client_secret', 'x-trino-extra-credential-header']

function metricsEnabled(source: ConfigFile, featureServer: Raw): boolean {
  const metrics = featureServer['metrics']
  if (metrics === undefined || metrics === null) return false
  return flag(source, mapOf(source, 'feature_server.metrics', metrics), 'enabled', 'feature_server.metrics')
}

const LIMIT_KEYS = ['body_bytes', 'entity_rows', 'features', 'in_flight']

function serverLimits(source: ConfigFile, featureServer: Raw): ServerLimits {
  const path = 'feature_server.limits'
  const given = featureServer['limits'] ?? {}
  const map = mapOf(source, path, given)
  refuseUnknownKeys(source, path, map, LIMIT_KEYS)
  const limit = (key: string, fallback: number) => wholeNumber(source, map, key, path, fallback, 1)
  return {
    bodyBytes: limit('body_bytes', 32 * 1024 * 1024),
    entityRows: limit('entity_rows', 100_000),
    features: limit('features', 10_000),
    inFlight: limit('in_flight', 1000),
  }
}

function batchSize(source: ConfigFile, materialization: Raw): number | undefined {
  if (materialization['online_write_batch_size'] == null) return undefined
  return wholeNumber(source, materialization, 'online_write_batch_size', 'materialization', 1, 1)
}

/** A plain path starts from the repo. */
function stagingUri(source: ConfigFile, materialization: Raw, repoPath: string): string | undefined {
  const text = textAt(source, materialization, 'staging', 'materialization', '')
  if (text === '') return undefined
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : resolve(repoPath, text)
}

function lookback(source: ConfigFile, materialization: Raw): number {
  const value = materialization['lookback'] ?? '0s'
  try {
    return parseDuration(value as string | number, 'lookback')
  } catch {
    throw fail(source, 'materialization.lookback', `must be a duration such as "2h", not ${show(value)}`)
  }
}

function keyVersion(source: ConfigFile): 2 | 3 {
  const version = source.data['entity_key_serialization_version'] ?? 3
  if (version === 2 || version === 3) return version
  throw fail(
    source,
    'entity_key_serialization_version',
    `${show(version)} is not a version that can be read; write 3 (or 2 for a store written with it)`,
  )
}

/** A block of settings that is ours to check: what is not known in it is an error. */
function block(source: ConfigFile, path: string, known: readonly string[]): Raw {
  const value = source.data[path]
  if (value === undefined || value === null) return {}
  const map = mapOf(source, path, value)
  refuseUnknownKeys(source, path, map, known)
  return map
}

function refuseUnknownKeys(source: ConfigFile, path: string, map: Raw, known: readonly string[]): void {
  for (const key of Object.keys(map)) {
    if (known.includes(key)) continue
    throw fail(
      source,
      `${path}.${key}`,
      `the key is not known here.${didYouMean(key, known) || ` Known are ${known.join(', ')}.`}`,
    )
  }
}

function mapOf(source: ConfigFile, path: string, value: unknown): Raw {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Raw
  throw fail(source, path, `must be a block of keys and values, not ${show(value)}`)
}

function textAt(source: ConfigFile, map: Raw, key: string, path: string, fallback: string): string {
  const value = map[key] ?? fallback
  if (typeof value === 'string') return value
  throw fail(source, dotted(path, key), `must be text, not ${show(value)}`)
}

function flag(source: ConfigFile, map: Raw, key: string, path: string): boolean {
  const value = map[key] ?? false
  if (typeof value === 'boolean') return value
  throw fail(source, dotted(path, key), `must be true or false, not ${show(value)}`)
}

function wholeNumber(
  source: ConfigFile,
  map: Raw,
  key: string,
  path: string,
  fallback: number,
  least: number,
): number {
  const value = map[key] ?? fallback
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value
  throw fail(source, dotted(path, key), `must be a whole number of at least ${least}, not ${show(value)}`)
}

/** One of a few words; the first is the default. */
function choice<Word extends string>(
  source: ConfigFile,
  map: Raw,
  key: string,
  path: string,
  words: readonly [Word, ...Word[]],
): Word {
  const value = map[key] ?? words[0]
  const found = words.find((word) => word === value)
  if (found) return found
  throw fail(source, dotted(path, key), oneOf(value, words))
}

function oneOf(value: unknown, words: readonly string[]): string {
  const close = typeof value === 'string' ? didYouMean(value, words) : ''
  return `${value === undefined ? 'a type is required;' : `${show(value)} is not known;`} write one of ${words.join(', ')}.${close}`
}

function fail(source: ConfigFile, path: string, problem: string): Error {
  const position = source.positions.get(path) ?? source.positions.get(path.split('.')[0]!)
  return invalid(source.file, position, path, problem)
}

function didYouMean(key: string, known: readonly string[]): string {
  const close = nearest(key, known)
  return close === undefined ? '' : ` Did you mean "${close}"?`
}

function dotted(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}
