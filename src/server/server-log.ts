import type { Logger } from '../core/logger.js'

export interface AccessLine {
  readonly id: string
  readonly protocol: 'http' | 'grpc'
  readonly method: string
  /** Without the query: what stands there may be secret. */
  readonly path: string
  readonly status: number
  readonly ms: number
  readonly ip: string
}

export interface ServerLogOptions {
  readonly accessLog?: boolean
  /** Several processes write to the same place. */
  readonly isShared?: boolean
  readonly fd?: number
}

/** What a server writes: one JSON object per line, on stderr. */
export interface ServerLog {
  readonly logger: Logger
  /** Undefined where requests are not logged. */
  readonly access: ((line: AccessLine) => void) | undefined
}

const CHUNK_BYTES = 32_768
/** A write of up to this many bytes to a pipe is not torn apart by another worker's. */
const SHARED_CHUNK_BYTES = 4096
/** Beyond, lines are dropped: a reader of our log that stands still costs neither memory nor answers. */
const MAX_HELD_BYTES = 8 << 20
const FLUSH_MS = 100
const LAST_WRITES_MS = 1000
const LONGEST_PATH = 256

/**
 * Access lines are gathered for up to 100 ms, then written together: 1 to 2 µs of CPU each instead of the 5 of a
 * call of pino that writes.
 * What is held back when the process exits is written then, if that is possible within a second.
 * @param level of the command line: debug, info, warning, error or critical; access lines come at any of them
 */
export async function openServerLog(
  level: string,
  { accessLog = true, isShared = false, fd = 2 }: ServerLogOptions = {},
): Promise<ServerLog> {
  const { pino } = await import('pino')
  const chunkBytes = isShared ? SHARED_CHUNK_BYTES : CHUNK_BYTES
  let endingSince: number | undefined
  const destination = pino.destination({
    fd,
    sync: false,
    minLength: 0,
    maxLength: MAX_HELD_BYTES,
    maxWrite: chunkBytes,
    retryEAGAIN: () => endingSince === undefined || performance.now() - endingSince < LAST_WRITES_MS,
  })
  // Whoever read our log is gone; answers go on.
  destination.on('error', () => {})
  const base = { pid: process.pid }
  const logger = pino({ level: PINO_LEVELS[level] ?? 'warn', base }, destination)
  const lines = new GatheredLines(chunkBytes, (text) => destination.write(text))
  // Before pino's own, which would wait for a reader as long as that takes.
  process.prependOnceListener('exit', () => {
    endingSince = performance.now()
    lines.flush()
    try {
      destination.flushSync()
    } catch {
      // Nobody reads it any more.
    }
    destination.destroy()
  })
  return {
    logger,
    access: accessLog ? (line) => lines.add(accessText(line)) : undefined,
  }
}

const PINO_LEVELS: Readonly<Record<string, string>> = {
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  critical: 'fatal',
}

const PID = process.pid

/** As pino writes it. */
function accessText({ id, protocol, method, path, status, ms, ip }: AccessLine): string {
  const shown = JSON.stringify(path.length > LONGEST_PATH ? `${path.slice(0, LONGEST_PATH)}…` : path)
  const spent = Math.round(ms * 100) / 100
  return `{"level":30,"time":${Date.now()},"pid":${PID},"request_id":"${id}","protocol":"${protocol}","method":"${method}","path":${shown},"status":${status},"ms":${spent},"ip":"${ip}","msg":"request"}\n`
}

class GatheredLines {
  #text = ''
  #timer: NodeJS.Timeout | undefined

  constructor(
    readonly chunkBytes: number,
    readonly write: (text: string) => void,
  ) {}

  add(line: string): void {
    if (this.#text.length + line.length > this.chunkBytes) this.flush()
    this.#text += line
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS).unref()
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#text !== '') this.write(this.#text)
    this.#text = ''
  }
}
