import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cell } from '../core/cell.js'
import { messageOf } from '../core/errors.js'
import { type Field, field } from '../core/field.js'
import type { Logger } from '../core/logger.js'
import { ArrayOf, type FeastType, Int64, StringType, UnixTimestamp } from '../core/value-type.js'
import type { ObjectStore } from '../object-stores/object-store.js'
import { writeBatches } from '../offline-stores/index.js'
import type { LoggingConfig } from './models-config.js'
import type { Role } from './traffic.js'

/** One row of one answer, or of one shadow run. */
export interface PredictionRow {
  /** Microseconds since 1970: when the request came. */
  readonly eventTimestamp: bigint
  readonly requestId: string
  /** Position in the request. A shadow's row has the request, the position and the time of what it looked at. */
  readonly row: number
  readonly model: string
  readonly version: string
  readonly role: Role
  readonly featureService: string | undefined
  readonly registryVersion: string | undefined
  /** Of the whole answer; of a shadow, of its run. */
  readonly latencyMicros: number
  /** In the model. */
  readonly inferMicros: number | undefined
  readonly error: string | undefined
  /** Inputs that had no value of their own. */
  readonly imputed: readonly string[]
  /** Join keys, inputs as the model saw them, `<input>__status` where it is not PRESENT, and outputs. */
  readonly values: readonly LoggedValue[]
}

export interface LoggedValue {
  readonly name: string
  readonly type: FeastType
  readonly cell: Cell
}

const FIXED: readonly Field[] = [
  field('event_timestamp', UnixTimestamp),
  field('request_id', StringType),
  field('request_row', Int64),
  field('model', StringType),
  field('version', StringType),
  field('role', StringType),
  field('feature_service', StringType),
  field('registry_version', StringType),
  field('latency_us', Int64),
  field('infer_us', Int64),
  field('error', StringType),
  field('imputed', ArrayOf(StringType)),
]

/** Failed flushes in a row after which rows are given up; each waits for the interval. */
const MAX_RETRIES = 3

/**
 * Keeps what was predicted from what, as Parquet files below `<uri>/model=<m>/dt=<YYYY-MM-DD>/`: a batch source for the
 * next point-in-time join. Writing never holds an answer up; when more comes than can be written, the oldest rows go
 * and are counted.
 */
export class PredictionLog {
  readonly #config: LoggingConfig
  readonly #store: ObjectStore
  readonly #uri: string
  readonly #logger: Logger
  #rows: PredictionRow[] = []
  #dropped = 0
  #written = 0
  /** In a row. */
  #failures = 0
  #failedWrites = 0
  #flushing: Promise<void> | undefined
  #timer: NodeJS.Timeout

  constructor(options: {
    readonly config: LoggingConfig
    readonly store: ObjectStore
    /** Without a slash at its end. */
    readonly uri: string
    readonly logger: Logger
  }) {
    this.#config = options.config
    this.#store = options.store
    this.#uri = options.uri
    this.#logger = options.logger
    this.#timer = setInterval(() => void this.flush(), options.config.flush_interval_s * 1000)
    this.#timer.unref()
  }

  get counts(): LogCounts {
    return {
      written: this.#written,
      dropped: this.#dropped,
      waiting: this.#rows.length,
      failedWrites: this.#failedWrites,
    }
  }

  /** Whether a request is one of those that are logged; all its rows are or none. */
  isSampled(): boolean {
    return this.#config.sample >= 1 || Math.random() < this.#config.sample
  }

  add(rows: readonly PredictionRow[]): void {
    this.#rows.push(...rows)
    const over = this.#rows.length - this.#config.max_buffer_rows
    if (over > 0) {
      this.#rows.splice(0, over)
      this.#dropped += over
    }
    if (this.#rows.length >= this.#config.flush_rows) void this.flush()
  }

  /** Rows that could not be made. */
  lose(rows: number): void {
    this.#dropped += rows
  }

  /** Writes what there is; what cannot be written now is kept for the next time. Never throws. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined
    })
    return this.#flushing
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
    // What came while that was written.
    await this.flush()
  }

  async #flush(): Promise<void> {
    const rows = this.#rows
    this.#rows = []
    for (const part of partsOf(rows)) {
      try {
        await this.#write(part)
        this.#written += part.length
        this.#failures = 0
      } catch (error) {
        this.#keep(part, error)
      }
    }
  }

  #keep(part: readonly PredictionRow[], error: unknown): void {
    this.#failures++
    this.#failedWrites++
    this.#logger.error({ rows: part.length, error: messageOf(error) }, 'predictions not logged')
    if (this.#failures > MAX_RETRIES) {
      this.#dropped += part.length
      return
    }
    const room = Math.max(0, this.#config.max_buffer_rows - this.#rows.length)
    this.#dropped += Math.max(0, part.length - room)
    if (room > 0) this.#rows.unshift(...part.slice(-room))
  }

  async #write(rows: readonly PredictionRow[]): Promise<void> {
    const { model } = rows[0]!
    const fields = fieldsOf(rows, this.#config.redact)
    const columns = fields.map(({ name }, i) =>
      rows.map((row) => (i < FIXED.length ? fixedCell(row, name) : valueOf(row, name))),
    )
    const folder = await mkdtemp(join(tmpdir(), 'feast-predictions-'))
    try {
      const path = join(folder, 'rows.parquet')
      await writeBatches(path, fields, once({ fields, columns, rowCount: rows.length }))
      await this.#store.upload(
        path,
        `${this.#uri}/model=${model}/dt=${dayOf(rows[0]!)}/${nameOf(rows)}.parquet`,
      )
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** Rows since the start, and those in memory now. */
export interface LogCounts {
  readonly written: number
  readonly dropped: number
  readonly waiting: number
  /** Files that could not be written, each time that it was tried. */
  readonly failedWrites: number
}

/** Rows of one file: of one model and day, and with the same types of values. */
function partsOf(rows: readonly PredictionRow[]): readonly (readonly PredictionRow[])[] {
  const parts = new Map<string, PredictionRow[]>()
  for (const row of rows) {
    const types = row.values.map(({ name, type }) => `${name} ${JSON.stringify(type)}`)
    const key = [row.model, row.version, dayOf(row), ...types].join('\0')
    const part = parts.get(key)
    if (part === undefined) parts.set(key, [row])
    else part.push(row)
  }
  return [...parts.values()]
}

function fieldsOf(rows: readonly PredictionRow[], redact: readonly string[]): readonly Field[] {
  const types = new Map<string, FeastType>()
  for (const { values } of rows) for (const { name, type } of values) types.set(name, type)
  const own = FIXED.map(({ name }) => name)
  const logged = [...types].filter(([name]) => !redact.includes(name) && !own.includes(name))
  return [...FIXED, ...logged.map(([name, type]) => field(name, type))]
}

function fixedCell(row: PredictionRow, name: string): Cell {
  switch (name) {
    case 'event_timestamp':
      return row.eventTimestamp
    case 'request_id':
      return row.requestId
    case 'request_row':
      return BigInt(row.row)
    case 'feature_service':
      return row.featureService ?? null
    case 'registry_version':
      return row.registryVersion ?? null
    case 'latency_us':
      return BigInt(Math.round(row.latencyMicros))
    case 'infer_us':
      return row.inferMicros === undefined ? null : BigInt(Math.round(row.inferMicros))
    case 'error':
      return row.error ?? null
    case 'imputed':
      return row.imputed
    default:
      return row[name as 'model' | 'version' | 'role']
  }
}

function valueOf({ values }: PredictionRow, wanted: string): Cell {
  return values.find(({ name }) => name === wanted)?.cell ?? null
}

function dayOf({ eventTimestamp }: PredictionRow): string {
  return new Date(Number(eventTimestamp / 1000n)).toISOString().slice(0, 10)
}

/** Files of a folder stand in the order in which they were made. */
function nameOf([first]: readonly PredictionRow[]): string {
  return `${String(first!.eventTimestamp).padStart(17, '0')}-${randomUUID()}`
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value
}
