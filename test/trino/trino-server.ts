import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../free-port.js'

/**
 * The newest Trino whose server Maven Central has as one archive. It needs Java 24 or newer: `TRINO_JAVA_HOME`, or one
 * of those under /usr/lib/jvm. `TRINO_VERSION` tries another.
 */
const VERSION = process.env['TRINO_VERSION'] ?? '476'
const NEEDED_JAVA = 24
/** What a server of ours uses of the archive's gigabyte. */
const PARTS = ['lib', 'plugin/hive']

/** The server's folder. Fetched by Maven once (0.8 GB) and kept unpacked. */
export function trinoHome(): string {
  const home = join(
    process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
    'feast-node',
    `trino-${VERSION}`,
  )
  if (existsSync(home)) return home
  const local = join(
    homedir(),
    '.m2/repository/io/trino/trino-server',
    VERSION,
    `trino-server-${VERSION}.tar.gz`,
  )
  if (!existsSync(local)) {
    run('mvn', [
      '-B',
      '-q',
      'dependency:get',
      `-Dartifact=io.trino:trino-server:${VERSION}:tar.gz`,
      '-Dtransitive=false',
    ])
  }
  const unfinished = `${home}.${process.pid}`
  const [whole, kept] = [join(unfinished, 'whole'), join(unfinished, 'kept')]
  mkdirSync(whole, { recursive: true })
  // All of it: the plugins' files are links to each other's.
  run('tar', ['xzf', local, '-C', whole, '--strip-components=1'])
  for (const part of PARTS) {
    mkdirSync(dirname(join(kept, part)), { recursive: true })
    renameSync(join(whole, part), join(kept, part))
  }
  renameSync(kept, home)
  rmSync(unfinished, { recursive: true })
  return home
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${(stderr || stdout).slice(0, 2_000)}`)
}

function javaFor(version: number): string {
  const folder = '/usr/lib/jvm'
  const homes = [
    process.env['TRINO_JAVA_HOME'] ?? '',
    process.env['JAVA_HOME'] ?? '',
    ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []),
  ]
  for (const home of homes) {
    const release = join(home, 'release')
    if (home === '' || !existsSync(release)) continue
    const found = /JAVA_VERSION="(\d+)/.exec(readFileSync(release, 'utf8'))?.[1]
    if (Number(found) >= version) return join(home, 'bin/java')
  }
  throw new Error(`Trino ${VERSION} needs Java ${version} or newer; name its folder in TRINO_JAVA_HOME`)
}

/** Over the same files as `hive`, with tables of its own: what the emulated Athena runs on. */
export const ATHENA_CATALOG = 'awsdatacatalog'

/** A Trino of one process on a free port, with a catalog `hive` over files in a folder of its own. */
export class TrinoServer {
  private constructor(
    readonly port: number,
    readonly folder: string,
    private readonly child: ChildProcess | undefined,
  ) {}

  /** Where the catalog's tables are: `local:///x` in Trino is `x` in here. */
  get warehouse(): string {
    return join(this.folder, 'warehouse')
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /**
   * `FEAST_TRINO_SERVER=port:folder` takes one that runs already and was started as here.
   * @param memoryMB of the Java heap
   */
  static async start({ memoryMB = 2500 } = {}): Promise<TrinoServer> {
    const [runningPort, runningFolder] = process.env['FEAST_TRINO_SERVER']?.split(':') ?? []
    if (runningFolder) return new TrinoServer(Number(runningPort), runningFolder, undefined)
    const home = trinoHome()
    const java = javaFor(NEEDED_JAVA)
    const port = await freePort()
    const folder = mkdtempSync(join(tmpdir(), 'feast-trino-'))
    writeConfig(folder, home, port, memoryMB)
    const log = openSync(join(folder, 'server.log'), 'a')
    const args = [
      `-Xmx${memoryMB}M`,
      '-XX:+UseSerialGC',
      '-XX:-OmitStackTraceInFastThrow',
      '-XX:+EnableDynamicAgentLoading',
      '-Djdk.attach.allowAttachSelf=true',
      '-Duser.timezone=UTC',
      '--enable-native-access=ALL-UNNAMED',
      '--add-modules=jdk.incubator.vector',
      '--sun-misc-unsafe-memory-access=allow',
      `-Dconfig=${join(folder, 'etc/config.properties')}`,
      '-Dnode.environment=test',
      '-Dnode.internal-address=127.0.0.1',
      '-Dnode.bind-ip=127.0.0.1',
      `-Dnode.data-dir=${join(folder, 'data')}`,
      '-cp',
      join(home, 'lib/*'),
      'io.trino.server.TrinoServer',
    ]
    const child = spawn(java, args, { cwd: folder, stdio: ['ignore', log, log] })
    const server = new TrinoServer(port, folder, child)
    try {
      await server.#ready(child)
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  async #ready(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + 600_000
    for (;;) {
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(
          `Trino did not start:\n${readFileSync(join(this.folder, 'server.log'), 'utf8').slice(-4000)}`,
        )
      }
      const info = await fetch(`${this.url}/v1/info`).then(
        (answer) => answer.json() as Promise<{ starting: boolean }>,
        () => undefined,
      )
      if (info?.starting === false) return
      await sleep(500)
    }
  }

  async stop(): Promise<void> {
    const child = this.child
    if (child === undefined) return
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function writeConfig(folder: string, home: string, port: number, memoryMB: number): void {
  for (const path of ['etc/catalog', 'warehouse', 'data', 'plugin'])
    mkdirSync(join(folder, path), { recursive: true })
  symlinkSync(join(home, 'plugin/hive'), join(folder, 'plugin/hive'))
  const memory = `${Math.floor(memoryMB * 0.6)}MB`
  const config = {
    coordinator: 'true',
    'node-scheduler.include-coordinator': 'true',
    'http-server.http.port': String(port),
    'discovery.uri': `http://127.0.0.1:${port}`,
    'plugin.dir': join(folder, 'plugin'),
    'catalog.config-dir': join(folder, 'etc/catalog'),
    'query.max-memory': memory,
    'query.max-memory-per-node': memory,
    'memory.heap-headroom-per-node': `${Math.floor(memoryMB * 0.2)}MB`,
    'task.concurrency': '2',
    'spill-enabled': 'true',
    'spiller-spill-path': join(folder, 'spill'),
  }
  const hive = (metastore: string) => ({
    'connector.name': 'hive',
    'hive.metastore': 'file',
    // Tables of files elsewhere may not lie inside it.
    'hive.metastore.catalog.dir': `local:///${metastore}`,
    'fs.native-local.enabled': 'true',
    'local.location': join(folder, 'warehouse'),
    'hive.non-managed-table-writes-enabled': 'true',
    'hive.timestamp-precision': 'MICROSECONDS',
    'hive.storage-format': 'PARQUET',
  })
  writeFileSync(join(folder, 'etc/config.properties'), lines(config))
  writeFileSync(join(folder, 'etc/catalog/hive.properties'), lines(hive('catalog')))
  writeFileSync(join(folder, `etc/catalog/${ATHENA_CATALOG}.properties`), lines(hive('glue')))
}

function lines(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}
