import { Agent } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Fixture } from './fixture.js'
import { ask, LOOKUP } from './serving-process.js'

/**
 * How a connection is held: headers that never end, a body that never ends (a byte now and then), nothing asked at all,
 * one large answer that is not read, or small ones that are asked for now and then and not read.
 */
export type SlowStyle = 'headers' | 'body' | 'idle' | 'answer' | 'answers'

export interface SlowCounts {
  /** Connections that the server ended. */
  cut: number
  longestMs: number
}

/** 8 MB in one answer, at little cost to the server: the kernel takes 3 to 4 of them for a client that does not read. */
const LARGE_ROWS = 400
const SMALL_ROWS = 5
const LONG_TEXT = 'x'.repeat(20_000)
const LONG_DRIVER = 5000

/** The row that the clients of style `answer` ask for again and again. */
export async function writeLongRow({ post }: Fixture): Promise<void> {
  const df = { driver_id: [LONG_DRIVER], event_timestamp: ['2026-08-01T00:00:00Z'], name: [LONG_TEXT] }
  const unset = [
    'conv_rate',
    'acc_rate',
    'trips',
    'i32',
    'flag',
    'ts',
    'raw',
    'tags',
    'nums',
    'floats',
    'js',
    'mp',
  ]
  const nulls = Object.fromEntries([...unset, 'created'].map((column) => [column, [null]]))
  const body = { feature_view_name: 'driver_stats', df: { ...nulls, ...df } }
  const { status, text } = await post('/write-to-online-store', body)
  if (status !== 200) throw new Error(text)
}

const BYTE_EVERY_MS = 1000
const COMES_BACK_MS = 30_000

const OPENINGS: Readonly<Record<SlowStyle, string>> = {
  idle: '',
  headers: 'POST /get-online-features HTTP/1.1\r\nhost: x\r\nx-slow: ',
  body: 'POST /get-online-features HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{"features":[',
  answer: lookupOf(LARGE_ROWS),
  answers: lookupOf(SMALL_ROWS),
}

const DRIPS: Readonly<Record<SlowStyle, string>> = {
  idle: '',
  headers: '1',
  body: '1',
  // Who does not read sees no end of the connection; writing finds out.
  answer: '\r\n',
  answers: OPENINGS.answers,
}

function lookupOf(rows: number): string {
  const driver_id = new Array<number>(rows).fill(LONG_DRIVER)
  const body = JSON.stringify({ features: ['driver_stats:name'], entities: { driver_id } })
  return `POST /get-online-features HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

/** Clients that hold connections without end. */
export class SlowClients {
  readonly counts: Readonly<Record<SlowStyle, SlowCounts>> = {
    headers: { cut: 0, longestMs: 0 },
    body: { cut: 0, longestMs: 0 },
    answer: { cut: 0, longestMs: 0 },
    answers: { cut: 0, longestMs: 0 },
    idle: { cut: 0, longestMs: 0 },
  }
  readonly #open = new Set<Socket>()
  #isStopped = false

  /** @param comesBack who is cut off connects again, within half a minute */
  constructor(
    readonly port: number,
    readonly comesBack: boolean,
  ) {}

  get open(): number {
    return this.#open.size
  }

  add(style: SlowStyle): void {
    if (this.#isStopped) return
    const socket = connect(this.port, '127.0.0.1')
    const startedAt = performance.now()
    if (style === 'answer' || style === 'answers') socket.pause()
    else socket.resume()
    // One timer each: all at once, they would hold up the good clients of this very process.
    const dripping = setInterval(() => this.#open.has(socket) && socket.write(DRIPS[style]), BYTE_EVERY_MS)
    socket.on('error', () => {})
    socket.on('connect', () => {
      socket.write(OPENINGS[style])
      this.#open.add(socket)
    })
    socket.on('close', () => {
      clearInterval(dripping)
      this.#open.delete(socket)
      if (!this.#isStopped) this.#wasCut(style, performance.now() - startedAt)
    })
  }

  stop(): void {
    this.#isStopped = true
    for (const socket of this.#open) socket.destroy()
  }

  #wasCut(style: SlowStyle, afterMs: number): void {
    const counts = this.counts[style]
    counts.cut++
    counts.longestMs = Math.max(counts.longestMs, afterMs)
    if (this.comesBack) setTimeout(() => this.add(style), Math.random() * COMES_BACK_MS).unref()
  }
}

export interface GoodOutcome {
  readonly latenciesMs: readonly number[]
  readonly wrong: readonly string[]
}

/** A slow machine takes longer. */
const FEWEST_ANSWERS = 30

/** Lookups on connections that are kept, one after another, for a time. */
export async function goodClients(port: number, clients: number, forMs: number): Promise<GoodOutcome> {
  const until = performance.now() + forMs
  const latenciesMs: number[] = []
  const wrong: string[] = []
  const run = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (performance.now() < until || latenciesMs.length + wrong.length < FEWEST_ANSWERS) {
      const startedAt = performance.now()
      try {
        const { status, text } = await ask({ ...LOOKUP, port, agent })
        if (status !== 200) wrong.push(`${status} ${text}`)
        latenciesMs.push(performance.now() - startedAt)
      } catch (error) {
        wrong.push(String(error))
      }
    }
    agent.destroy()
  }
  await Promise.all(Array.from({ length: clients }, run))
  return { latenciesMs, wrong }
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!
}
