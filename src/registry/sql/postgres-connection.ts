import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import type { PoolConfig } from 'pg'
import type { DatabaseUrl } from './database-url.js'

export interface PostgresConnection {
  readonly connection: PoolConfig
  /** `sslmode=prefer`, libpq's default: TLS where the server has it. */
  readonly plainOtherwise: boolean
}

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
type SslMode = (typeof SSL_MODES)[number]

/** Parameters of libpq that mean something here; those of the second list are ours to decide and passed over. */
const KNOWN = [
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'connect_timeout',
  'application_name',
  'options',
]
const PASSED_OVER = [
  'client_encoding',
  'gssencmode',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'prepare_threshold',
]

/**
 * What `pg` needs to connect as libpq would.
 * @param more SQLAlchemy's `connect_args`, which count before the URL's own parameters
 * @throws Error that says what is wrong, without secrets
 */
export function postgresConnection(
  url: DatabaseUrl,
  more: Readonly<Record<string, unknown>>,
): PostgresConnection {
  const parameters = new Map([
    ...url.query,
    ...Object.entries(more).map(([key, value]) => [key, String(value)] as const),
  ])
  for (const key of parameters.keys()) {
    if (KNOWN.includes(key) || PASSED_OVER.includes(key)) continue
    throw new Error(`the parameter "${key}" is not known here; known are ${KNOWN.join(', ')}`)
  }
  const host = parameters.get('host') ?? url.host
  const port = wholeNumber(parameters, 'port') ?? url.port
  const seconds = wholeNumber(parameters, 'connect_timeout')
  const mode = sslMode(parameters.get('sslmode') ?? process.env['PGSSLMODE'] ?? 'prefer')
  // As libpq, which speaks no TLS over a socket in the file system.
  const ssl = host?.startsWith('/') ? false : tlsOptions(mode, parameters)
  const given: Readonly<Record<keyof PoolConfig, unknown>> = {
    host,
    port,
    user: parameters.get('user') ?? url.user,
    password: parameters.get('password') ?? url.password,
    database: parameters.get('dbname') ?? (url.database || undefined),
    application_name: parameters.get('application_name'),
    options: parameters.get('options'),
    connectionTimeoutMillis: seconds === undefined || seconds === 0 ? undefined : seconds * 1000,
  } as never
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { connection: { ...set, ssl }, plainOtherwise: ssl !== false && mode === 'prefer' }
}

function sslMode(text: string): SslMode {
  const mode = SSL_MODES.find((one) => one === text)
  if (mode) return mode
  throw new Error(`sslmode "${text}" is not known; write one of ${SSL_MODES.join(', ')}`)
}

function tlsOptions(mode: SslMode, parameters: ReadonlyMap<string, string>): false | ConnectionOptions {
  if (mode === 'disable' || mode === 'allow') return false
  const ca = rootCertificate(parameters)
  const own = { ...fileOption('cert', parameters, 'sslcert'), ...fileOption('key', parameters, 'sslkey') }
  // As libpq: who names an authority wants it checked.
  const isChecked = mode.startsWith('verify') || (mode === 'require' && ca !== undefined)
  if (!isChecked) return { ...own, rejectUnauthorized: false }
  const checked = { ...own, ...(ca !== undefined && { ca }), rejectUnauthorized: true }
  return mode === 'verify-full' ? checked : { ...checked, checkServerIdentity: () => undefined }
}

/** Of `sslrootcert`, or libpq's default file; undefined = the authorities that Node.js knows (libpq's `system`). */
function rootCertificate(parameters: ReadonlyMap<string, string>): string | undefined {
  const named = parameters.get('sslrootcert')
  if (named === 'system') return undefined
  if (named !== undefined) return readNamed(named, 'sslrootcert')
  const usual = join(homedir(), '.postgresql/root.crt')
  return existsSync(usual) ? readNamed(usual, 'sslrootcert') : undefined
}

function fileOption(option: string, parameters: ReadonlyMap<string, string>, key: string) {
  const path = parameters.get(key)
  return path === undefined ? {} : { [option]: readNamed(path, key) }
}

function readNamed(path: string, key: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`the file of ${key}, ${path}, cannot be read`, { cause: error })
  }
}

function wholeNumber(parameters: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = parameters.get(key)
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  throw new Error(`${key} is not a whole number`)
}
