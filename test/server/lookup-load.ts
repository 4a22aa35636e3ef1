import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../compat/random.js'
import { BytesClient, decoded, encoded } from './grpc-fixture.js'
import { type Answer, ask } from './serving-process.js'

const DRIVERS = 40
/** Written by those who ask whether the server writes. */
const PROBE = DRIVERS
const FEATURES = ['trips', 'name', 'acc_rate']
const REFS = FEATURES.map((feature) => `driver_stats:${feature}`)
const FIRST_TIME = Date.parse('2026-08-01T00:00:00Z')
/** Nothing that is asked may take longer, however Redis fares. */
const PATIENCE_MS = 10_000
const PAUSE_MS = 5

export interface LoadCounts {
  /** Reads answered with values that are right. */
  read: number
  /** Reads answered with 503 or UNAVAILABLE. */
  readAway: number
  written: number
  /** Writes answered with 5xx: away, read-only or full. */
  notWritten: number
  longestMs: number
}

const noCounts = (): LoadCounts => ({ read: 0, readAway: 0, written: 0, notWritten: 0, longestMs: 0 })

/** The rows of one driver in a row: what it was acknowledged to be, and what it may have become. */
interface Row {
  acknowledged: number
  attempted: number
}

/**
 * Reads over HTTP and gRPC and writes, all at once, against a server on Redis. Row `n` of driver `d` has n trips, the
 * name `d:n` and the rate n / 8. Each driver has one writer, so a read must see a row that is no older than the last
 * one acknowledged when it was sent, no newer than the last one attempted when it is answered, and never a mixture.
 */
export class LookupLoad {
  counts = noCounts()
  /** What is being done to Redis. */
  fault = 'nothing'
  /** Whatever is neither right nor a refusal that befits the state of Redis; some of it. */
  readonly wrong: string[] = []
  readonly #rows: readonly Row[] = Array.from({ length: DRIVERS + 1 }, () => ({
    acknowledged: -1,
    attempted: -1,
  }))
  readonly #agent = new Agent({ keepAlive: true })
  readonly #grpc: BytesClient
  readonly #loops: Promise<void>[] = []
  #isStopping = false

  constructor(
    readonly port: number,
    grpcPort: number,
    readonly random: Random,
  ) {
    this.#grpc = new BytesClient(`127.0.0.1:${grpcPort}`)
  }

  /** A row for each driver, then readers and writers in turns of a few milliseconds. */
  async start({ readers, writers }: { readonly readers: number; readonly writers: number }): Promise<void> {
    for (const driver of this.#rows.keys()) await this.#write(driver)
    const loop = (turn: () => Promise<unknown>) => {
      const run = async () => {
        while (!this.#isStopping) {
          await turn()
          await sleep(PAUSE_MS)
        }
      }
      this.#loops.push(run())
    }
    for (let n = 0; n < readers; n++) loop(() => (n % 2 === 0 ? this.readHttp() : this.readGrpc()))
    for (let n = 0; n < writers; n++) {
      let turn = 0
      loop(() => this.#write((writers * turn++ + n) % (DRIVERS - (DRIVERS % writers))))
    }
  }

  /** The counts so far; they begin anew. */
  takeCounts(): LoadCounts {
    const { counts } = this
    this.counts = noCounts()
    return counts
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#loops)
  }

  close(): void {
    this.#agent.destroy()
    this.#grpc.close()
  }

  /** All drivers, once more. @returns whether they could be read */
  readAll(): Promise<boolean> {
    return this.readHttp([...this.#rows.keys()])
  }

  write(): Promise<boolean> {
    return this.#write(PROBE)
  }

  async readHttp(drivers = this.#someDrivers()): Promise<boolean> {
    return this.#read(drivers, async () => {
      const body = JSON.stringify({ features: REFS, entities: { driver_id: drivers } })
      const { status, headers, text } = await this.#post('/get-online-features', body)
      if (status === 503 && headers['retry-after'] !== undefined) return 'away'
      if (status !== 200) throw new Error(`HTTP ${status} ${JSON.stringify(headers)} ${text}`)
      const { metadata, results } = JSON.parse(text)
      return columnsOf(metadata.feature_names, results)
    })
  }

  async readGrpc(drivers = this.#someDrivers()): Promise<boolean> {
    return this.#read(drivers, async () => {
      const message = encoded('feast.serving.GetOnlineFeaturesRequest', {
        features: { val: REFS },
        entities: { driver_id: { val: drivers.map((int64Val) => ({ int64Val })) } },
      })
      const path = '/feast.serving.ServingService/GetOnlineFeatures'
      const { code, details, answers } = await this.#grpc.unary(path, message, { deadlineMs: PATIENCE_MS })
      // As the server says it, not the client's library of a server that has gone.
      if (code === 14 && details.includes('feast.errors')) return 'away'
      if (code !== 0) throw new Error(`gRPC ${code} ${details}`)
      const { metadata, results } = decoded('feast.serving.GetOnlineFeaturesResponse', answers[0]!) as never
      const plain = (results as Column[]).map(({ values, statuses }) => ({
        statuses,
        values: values.map((value) => Object.values(value as object)[0]),
      }))
      return columnsOf((metadata as { featureNames: { val: string[] } }).featureNames.val, plain)
    })
  }

  #someDrivers(): number[] {
    return this.random.times(this.random.int(1, 12), () => this.random.int(0, DRIVERS - 1))
  }

  async #read(drivers: readonly number[], ask: () => Promise<Columns | 'away'>): Promise<boolean> {
    const { counts } = this
    const least = drivers.map((driver) => this.#rows[driver]!.acknowledged)
    const startedAt = performance.now()
    try {
      const found = await ask()
      if (found === 'away') counts.readAway++
      else {
        for (const [place, driver] of drivers.entries()) this.#check(driver, place, least[place]!, found)
        counts.read++
      }
      return found !== 'away'
    } catch (error) {
      this.#blame(`read ${drivers}: ${error}`)
      return false
    } finally {
      counts.longestMs = Math.max(counts.longestMs, performance.now() - startedAt)
    }
  }

  #check(driver: number, place: number, least: number, columns: Columns): void {
    const [trips, name, rate] = FEATURES.map((feature) => columns.get(feature)?.values[place])
    for (const feature of FEATURES) {
      const status = columns.get(feature)?.statuses[place]
      if (status !== 'PRESENT') throw new Error(`driver ${driver} has a ${feature} that is ${status}`)
    }
    const row = Number(trips)
    const isWhole = name === `${driver}:${row}` && Number(rate) === row / 8
    if (!isWhole) throw new Error(`driver ${driver} is a mixture: ${trips}, ${name}, ${rate}`)
    const most = this.#rows[driver]!.attempted
    if (row < least || row > most) throw new Error(`driver ${driver} is ${row}, not from ${least} to ${most}`)
  }

  async #write(driver: number): Promise<boolean> {
    const { counts } = this
    const row = this.#rows[driver]!
    const next = ++row.attempted
    const startedAt = performance.now()
    try {
      const { status, text } = await this.#post('/push', JSON.stringify(pushOf(driver, next)))
      if (status === 200) {
        row.acknowledged = next
        counts.written++
        return true
      }
      if (status === 503 || (status === 500 && text.includes('maxmemory'))) counts.notWritten++
      else throw new Error(`HTTP ${status} ${text}`)
    } catch (error) {
      this.#blame(`write ${driver}: ${error}`)
    } finally {
      counts.longestMs = Math.max(counts.longestMs, performance.now() - startedAt)
    }
    return false
  }

  #post(path: string, body: string): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS)
    })
    const asked = ask({ port: this.port, agent: this.#agent, method: 'POST', path, body })
    return Promise.race([asked, late]).finally(() => clearTimeout(timer))
  }

  #blame(what: string): void {
    if (this.wrong.length < 20) this.wrong.push(`${this.fault}: ${what.slice(0, 600)}`)
  }
}

interface Column {
  readonly values: readonly unknown[]
  readonly statuses: readonly unknown[]
}

type Columns = ReadonlyMap<string, Column>

function columnsOf(names: readonly string[], results: readonly Column[]): Columns {
  return new Map(names.map((name, index) => [name, results[index]!]))
}

function pushOf(driver: number, row: number): object {
  const df = {
    driver_id: [driver],
    event_timestamp: [new Date(FIRST_TIME + row * 1000).toISOString()],
    created: [null],
    conv_rate: [null],
    acc_rate: [row / 8],
    trips: [row],
    i32: [null],
    name: [`${driver}:${row}`],
    flag: [null],
    ts: [null],
    raw: [null],
    tags: [null],
    nums: [null],
    floats: [null],
    js: [null],
    mp: [null],
  }
  return { push_source_name: 'driver_push', to: 'online', df }
}
