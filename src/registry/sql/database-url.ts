/** A database URL in SQLAlchemy's grammar, taken apart. */
export interface DatabaseUrl {
  readonly dialect: string
  readonly user: string | undefined
  readonly password: string | undefined
  readonly host: string | undefined
  readonly port: number | undefined
  /** File name or database; empty where none is given. */
  readonly database: string
  readonly query: ReadonlyMap<string, string>
  /** For people: no password, no query. */
  readonly shown: string
}

/** As SQLAlchemy reads it: the password may hold anything but `@`, and is percent-decoded as user and database are. */
const GRAMMAR =
  /^(?<dialect>\w+)(?:\+\w+)?:\/\/(?:(?<user>[^:/]*)(?::(?<password>[^@]*))?@)?(?:(?:\[(?<ipv6>[^/?]+)\]|(?<host>[^/:?]+))?(?::(?<port>[^/?]*))?)?(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/s

/** @throws Error that says what is wrong, without the text, which may hold a password */
export function parseDatabaseUrl(text: string): DatabaseUrl {
  const found = GRAMMAR.exec(text)?.groups
  if (found === undefined) {
    throw new Error(
      'it is not a database URL such as sqlite:///data/registry.db or postgresql://user:password@host:5432/database',
    )
  }
  const dialect = found['dialect']!
  const user = decoded(found['user'])
  const host = found['ipv6'] ?? found['host']
  const port = portOf(found['port'])
  const database = decoded(found['database']) ?? ''
  const query = new Map<string, string>()
  for (const [key, value] of new URLSearchParams(found['query'] ?? '')) {
    if (value === '') continue
    if (query.has(key)) throw new Error(`"${key}" stands twice in the URL; one server is named once`)
    query.set(key, value)
  }
  const at = `${user ? `${user}@` : ''}${found['ipv6'] ? `[${host}]` : (host ?? '')}${port ? `:${port}` : ''}`
  return {
    dialect,
    user: user || undefined,
    password: decoded(found['password']),
    host,
    port,
    database,
    query,
    shown: `${dialect}://${at}/${database}`,
  }
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const port = Number(text)
  if (/^\d+$/.test(text) && port > 0 && port <= 65_535) return port
  throw new Error('its port is not a number from 1 to 65535')
}

/** Percent signs that start no escape stay, as in Python. */
function decoded(text: string | undefined): string | undefined {
  return text?.replace(/(?:%[0-9a-fA-F]{2})+/g, (escapes) =>
    Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'),
  )
}
