import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from './free-port.js'
import { until } from './until.js'

/** Debian keeps the server's programs off the path. */
const PROGRAMS = newestIn('/usr/lib/postgresql')

export const hasPostgres = PROGRAMS !== undefined
export const NO_POSTGRES = 'postgresql is not installed'

/** PostgreSQL refuses to run as root: then it runs as Debian's `nobody`. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

const PASSWORD = 'p@ss w/ö:rd?'

/** A real PostgreSQL cluster of its own in a temporary folder, at a free port, gone with `stop()`. */
export class PostgresServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'feast-postgres-'))
  readonly #child: { process: ChildProcess | undefined } = { process: undefined }
  #databases = 0

  private constructor(
    readonly port: number,
    readonly settings: readonly string[],
  ) {}

  /** @param settings as after `-c` on the server's command line */
  static async start(settings: readonly string[] = []): Promise<PostgresServer> {
    const server = new PostgresServer(await freePort(), settings)
    try {
      server.#initialize()
      await server.restart()
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  /** A new, empty database, as a URL of SQLAlchemy's with a password that has to be escaped. */
  async database(driver = 'postgresql+psycopg'): Promise<string> {
    const name = `registry_${++this.#databases}`
    await this.query(`CREATE DATABASE ${name}`)
    return this.url(name, driver)
  }

  url(database: string, driver = 'postgresql+psycopg'): string {
    return `${driver}://feast:${encodeURIComponent(PASSWORD)}@127.0.0.1:${this.port}/${database}`
  }

  /** One statement, on a connection of its own. */
  async query<Row extends pg.QueryResultRow>(sql: string, database = 'postgres'): Promise<readonly Row[]> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.port,
      user: 'feast',
      password: PASSWORD,
      database,
    })
    await client.connect()
    try {
      return (await client.query<Row>(sql)).rows
    } finally {
      await client.end()
    }
  }

  async restart(): Promise<void> {
    const settings = [
      'fsync=off',
      'max_connections=100',
      'listen_addresses=127.0.0.1',
      `port=${this.port}`,
      `unix_socket_directories=${this.folder}`,
      ...this.settings,
    ]
    const child = spawn(
      join(PROGRAMS!, 'postgres'),
      ['-D', join(this.folder, 'data'), ...settings.flatMap((one) => ['-c', one])],
      { ...NOBODY, cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    this.#child.process = child
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-4000)
    })
    const deadline = Date.now() + 60_000
    while (!/ready to accept connections/.test(said)) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`postgres did not start:\n${said}`)
      await sleep(20)
    }
  }

  /** From the next connection on. */
  async useTls(certificate: string, key: string): Promise<void> {
    for (const [setting, file] of [
      ['ssl_cert_file', certificate],
      ['ssl_key_file', key],
    ] as const) {
      const copy = join(this.folder, basename(file))
      copyFileSync(file, copy)
      ownedByServer(copy, 0o600)
      await this.query(`ALTER SYSTEM SET ${setting} = '${copy}'`)
    }
    await this.query('ALTER SYSTEM SET ssl = on')
    await this.query('SELECT pg_reload_conf()')
    await until(async () => (await this.query<{ ssl: string }>('SHOW ssl'))[0]!.ssl === 'on', 'TLS')
  }

  /** As after a crash of the machine. */
  async kill(): Promise<void> {
    await this.#end('SIGQUIT')
  }

  async stop(): Promise<void> {
    await this.#end('SIGINT')
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child.process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }

  #initialize(): void {
    const data = join(this.folder, 'data')
    mkdirSync(data)
    const password = join(this.folder, 'password')
    writeFileSync(password, PASSWORD)
    for (const path of [this.folder, data, password]) ownedByServer(path, 0o700)
    const args = [
      '-D',
      data,
      '-U',
      'feast',
      '-A',
      'scram-sha-256',
      `--pwfile=${password}`,
      '--no-sync',
      '-E',
      'UTF8',
    ]
    const made = spawnSync(join(PROGRAMS!, 'initdb'), args, { ...NOBODY, encoding: 'utf8' })
    if (made.status !== 0) throw new Error(`initdb failed:\n${made.stdout}${made.stderr}`)
  }
}

function ownedByServer(path: string, mode: number): void {
  chmodSync(path, mode)
  if (NOBODY.uid !== undefined) chownSync(path, NOBODY.uid, NOBODY.gid)
}

function newestIn(folder: string): string | undefined {
  if (!existsSync(folder)) return undefined
  const versions = readdirSync(folder).sort((a, b) => Number(b) - Number(a))
  const programs = versions.map((version) => join(folder, version, 'bin'))
  return programs.find((path) => existsSync(join(path, 'postgres')))
}
