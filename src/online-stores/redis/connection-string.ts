import { nearest } from '../../core/nearest.js'
import type { RedisAddress } from './redis-connection.js'

/** What `connection_string` says. File paths as they stand there. */
export interface ConnectionString {
  /** At least one. */
  readonly nodes: readonly RedisAddress[]
  readonly options: RedisOptions
}

export interface RedisOptions {
  readonly db?: number
  readonly username?: string
  readonly password?: string
  readonly clientName?: string
  /** Seconds. */
  readonly socketTimeoutSeconds?: number
  readonly connectTimeoutSeconds?: number
  readonly ssl?: boolean
  readonly caFile?: string
  readonly caText?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly keyPassword?: string
  readonly verifyCertificate?: boolean
  readonly verifyHostname?: boolean
  readonly ciphers?: string
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** How to greet sentinels; without it they are greeted without password and TLS, as redis-py does. */
  readonly sentinel?: RedisOptions
}

/** A mistake in the string, in words that hold none of its values: they may be secrets. */
export class ConnectionStringMistake extends Error {
  override readonly name = 'ConnectionStringMistake'
}

/** Feast's grammar: `host:port` and `option=value`, split at commas. @throws ConnectionStringMistake */
export function parseConnectionString(text: string): ConnectionString {
  if (/^\w+:\/\//.test(text)) {
    throw new ConnectionStringMistake('Write host:port,option=value,… instead of a URL; ssl=true for TLS.')
  }
  const nodes: RedisAddress[] = []
  let options: RedisOptions = {}
  for (const [index, part] of text.split(',').entries()) {
    const equals = part.indexOf('=')
    if (equals < 0) nodes.push(parseNode(part.trim(), index))
    else options = { ...options, ...parseOption(part.slice(0, equals).trim(), part.slice(equals + 1)) }
  }
  if (nodes.length === 0) throw new ConnectionStringMistake('It names no host:port.')
  return { nodes, options }
}

function parseNode(part: string, index: number): RedisAddress {
  const [, host, digits] = /^(\[[^\]]+\]|[^:\s]+):(\d{1,5})$/.exec(part) ?? []
  const port = Number(digits)
  if (host === undefined || port < 1 || port > 65_535) {
    const where =
      index === 0 ? 'It must start with host:port' : `Part ${index + 1} is no host:port, nor option=value`
    throw new ConnectionStringMistake(
      `${where}, such as localhost:6379. A value cannot hold a comma, a password neither.`,
    )
  }
  return { host: host.replace(/^\[|\]$/g, ''), port }
}

/** The value as Feast hands it to redis-py: JSON where it is JSON, else the text. */
function parseOption(name: string, raw: string): RedisOptions {
  if (IGNORED.has(name)) return {}
  const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined
  if (option === undefined) throw new ConnectionStringMistake(unknownOption(name))
  return option(json(raw), { name, raw })
}

function json(raw: string): unknown {
  try {
    return JSON.parse(raw)
  } catch {
    return raw
  }
}

interface Given {
  readonly name: string
  readonly raw: string
}

type Option = (value: unknown, given: Given) => RedisOptions

const OPTIONS: Readonly<Record<string, Option>> = {
  db: (value, given) => ({ db: whole(value, given) }),
  username: (value, given) => text(value, given, (username) => ({ username })),
  password: (value, given) => text(value, given, (password) => ({ password })),
  client_name: (value, given) => text(value, given, (clientName) => ({ clientName })),
  socket_timeout: (value, given) =>
    seconds(value, given, (socketTimeoutSeconds) => ({ socketTimeoutSeconds })),
  socket_connect_timeout: (value, given) =>
    seconds(value, given, (connectTimeoutSeconds) => ({ connectTimeoutSeconds })),
  ssl: (value, given) => ({ ssl: flag(value, given) }),
  ssl_ca_certs: (value, given) => text(value, given, (caFile) => ({ caFile })),
  ssl_ca_data: (value, given) => text(value, given, (caText) => ({ caText })),
  ssl_certfile: (value, given) => text(value, given, (certFile) => ({ certFile })),
  ssl_keyfile: (value, given) => text(value, given, (keyFile) => ({ keyFile })),
  ssl_password: (value, given) => text(value, given, (keyPassword) => ({ keyPassword })),
  ssl_ciphers: (value, given) => text(value, given, (ciphers) => ({ ciphers })),
  ssl_check_hostname: (value, given) => ({ verifyHostname: flag(value, given) }),
  ssl_cert_reqs: (value, given) => ({ verifyCertificate: certificateRule(value, given) }),
  ssl_min_version: (value, given) => ({ minVersion: tlsVersion(value, given) }),
  sentinel_kwargs: (value, given) => ({ sentinel: sentinelOptions(value, given) }),
}

/** Known to redis-py and without a meaning here: they tune its pool, or what replies are decoded to. */
const IGNORED = new Set([
  'auto_close_connection_pool',
  'cluster_error_retry_attempts',
  'dynamic_startup_nodes',
  'encoding',
  'encoding_errors',
  'health_check_interval',
  'lib_name',
  'lib_version',
  'max_connections',
  'min_other_sentinels',
  'protocol',
  'read_from_replicas',
  'reinitialize_steps',
  'require_full_coverage',
  'retry_on_timeout',
  'single_connection_client',
  'skip_full_coverage_check',
  'socket_keepalive',
])

function unknownOption(name: string): string {
  const known = [...Object.keys(OPTIONS), ...IGNORED]
  // A password with a comma may leave "name=…" behind, so a name unlike all known ones is not repeated.
  const close = nearest(name, known)
  if (close === undefined) {
    return `One of its options is not known. Known are ${Object.keys(OPTIONS).join(', ')}. A value cannot hold a comma.`
  }
  return `The option "${name}" is not known. Did you mean "${close}"?`
}

function wrong({ name }: Given, wanted: string): ConnectionStringMistake {
  return new ConnectionStringMistake(`The option "${name}" must be ${wanted}.`)
}

function isNone(value: unknown): boolean {
  return value === null || value === 'None'
}

/** Numbers stand for their digits: a password may look like one. */
function text(value: unknown, given: Given, make: (text: string) => RedisOptions): RedisOptions {
  if (isNone(value) || given.raw === '') return {}
  if (typeof value === 'object' || typeof value === 'boolean') throw wrong(given, 'text')
  return make(typeof value === 'string' ? value : given.raw)
}

function whole(value: unknown, given: Given): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw wrong(given, 'a whole number, 0 or more')
  }
  return value
}

function seconds(value: unknown, given: Given, make: (seconds: number) => RedisOptions): RedisOptions {
  if (isNone(value)) return {}
  if (typeof value !== 'number' || !(value > 0) || value > 86_400) {
    throw wrong(given, 'a number of seconds above 0')
  }
  return make(value)
}

/** Python takes any text for true, `False` too; who writes that means no. */
function flag(value: unknown, given: Given): boolean {
  if (value === true || value === 1 || value === 'True') return true
  if (value === false || value === 0 || isNone(value)) return false
  throw wrong(given, 'true or false, in small letters')
}

function certificateRule(value: unknown, given: Given): boolean {
  if (value === 'none' || isNone(value)) return false
  if (value === 'required' || value === 'optional') return true
  throw wrong(given, 'required, optional or none')
}

/** Python's numbers of TLS versions. */
function tlsVersion(value: unknown, given: Given): 'TLSv1.2' | 'TLSv1.3' {
  if (value === 771 || value === 'TLSv1.2') return 'TLSv1.2'
  if (value === 772 || value === 'TLSv1.3') return 'TLSv1.3'
  throw wrong(given, '771 (TLS 1.2) or 772 (TLS 1.3)')
}

function sentinelOptions(value: unknown, given: Given): RedisOptions {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(given, 'a JSON object such as {"password":"…"}')
  }
  const parsed = Object.entries(value).map(([name, inner]) =>
    parseOption(name, typeof inner === 'string' ? inner : JSON.stringify(inner)),
  )
  return Object.assign({}, ...parsed)
}
