import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Latency, latencyOf } from './latency.js'
import { grpcLanes, HttpLane, type Lane } from './load-lanes.js'

/** What is sent where. Requests are sent in order and round again. */
export interface LoadTarget {
  readonly port: number
  /** Path of the gRPC method; undefined: HTTP. */
  readonly grpcPath?: string | undefined
  readonly requests: readonly Buffer[]
  /** An answer with a message outside these bounds is a failure. */
  readonly answerBytes: readonly [min: number, max: number]
}

export interface Load {
  readonly target: LoadTarget
  readonly seconds: number
  /** Closed loop: so many requests at a time, the next when the last is answered. */
  readonly concurrency: number
  /** Open loop: requests are due at this rate, whatever becomes of them, over `concurrency` connections. */
  readonly perSecond?: number
}

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly failures: number
  readonly firstFailure: string | undefined
  /** From the time that a request was due. */
  readonly latency: Latency
  /** Some answers, to look into: number of the request and message. */
  readonly samples: readonly (readonly [number, Buffer])[]
}

const FLAG = '--load-generator'

/** A load generator in a process of its own, made of the same bundle. */
export class LoadGenerator {
  readonly #child: ChildProcess

  constructor() {
    this.#child = fork(fileURLToPath(import.meta.url), [FLAG], { serialization: 'advanced' })
  }

  run(load: Load): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error('the load generator has ended'))
      this.#child.once('exit', ended)
      this.#child.once('message', (result) => {
        this.#child.off('exit', ended)
        resolve(result as LoadResult)
      })
      this.#child.send(load)
    })
  }

  close(): void {
    this.#child.removeAllListeners('exit')
    this.#child.kill()
  }
}

/** True in the process that generates load; it does so until its parent ends. */
export function servesAsLoadGenerator(): boolean {
  if (!process.argv.includes(FLAG)) return false
  process.on('message', (load: Load) => {
    void generate(withBuffers(load)).then((result) => process.send!(result))
  })
  process.on('disconnect', () => process.exit())
  return true
}

/** Buffers arrive as plain byte arrays. */
function withBuffers({ target, ...load }: Load): Load {
  const requests = target.requests.map((request) => Buffer.from(request))
  return { ...load, target: { ...target, requests } }
}

const SAMPLE_EVERY = 97
const MAX_SAMPLES = 20

async function generate(load: Load): Promise<LoadResult> {
  const run = new Run(load)
  const start = performance.now()
  await (load.perSecond === undefined ? run.closedLoop(start) : run.openLoop(start, load.perSecond))
  return run.result((performance.now() - start) / 1000)
}

class Run {
  readonly #load: Load
  readonly #lanes: readonly Lane[]
  readonly #taken: number[] = []
  readonly #samples: [number, Buffer][] = []
  #next = 0
  #failures = 0
  #firstFailure: string | undefined

  constructor(load: Load) {
    const { port, grpcPath } = load.target
    this.#load = load
    this.#lanes =
      grpcPath === undefined
        ? Array.from({ length: load.concurrency }, () => new HttpLane(port))
        : grpcLanes(port, grpcPath, load.concurrency)
  }

  async closedLoop(start: number): Promise<void> {
    const end = start + this.#load.seconds * 1000
    await Promise.all(
      this.#lanes.map(async (lane) => {
        for (let now = performance.now(); now < end; now = performance.now()) await this.#send(lane, now)
      }),
    )
  }

  /** What is due while all lanes are taken waits, and its wait counts. */
  async openLoop(start: number, perSecond: number): Promise<void> {
    const total = Math.max(1, Math.round(perSecond * this.#load.seconds))
    const free = [...this.#lanes]
    const dueAt = (index: number) => start + (index * 1000) / perSecond
    let sent = 0
    let answered = 0
    await new Promise<void>((done) => {
      const pump = () => {
        while (sent < total && free.length > 0 && dueAt(sent) <= performance.now()) {
          const lane = free.pop()!
          void this.#send(lane, dueAt(sent++)).then(() => {
            free.push(lane)
            if (++answered === total) done()
            else pump()
          })
        }
      }
      const tick = () => {
        pump()
        if (sent === total) return
        const wait = dueAt(sent) - performance.now()
        // Timers may be late by a millisecond.
        if (wait > 2) setTimeout(tick, wait - 1.5)
        else setImmediate(tick)
      }
      tick()
    })
  }

  result(seconds: number): LoadResult {
    for (const lane of this.#lanes) lane.close()
    return {
      requests: this.#taken.length,
      seconds,
      failures: this.#failures,
      firstFailure: this.#firstFailure,
      latency: latencyOf(this.#taken),
      samples: this.#samples,
    }
  }

  async #send(lane: Lane, due: number): Promise<void> {
    const { requests, answerBytes } = this.#load.target
    const number = this.#next++
    const index = number % requests.length
    try {
      const answer = await lane.send(requests[index]!)
      const [min, max] = answerBytes
      if (answer.length < min || answer.length > max) throw new Error(`an answer of ${answer.length} bytes`)
      if (number % SAMPLE_EVERY === 0 && this.#samples.length < MAX_SAMPLES) {
        this.#samples.push([index, Buffer.from(answer)])
      }
      this.#taken.push(performance.now() - due)
    } catch (error) {
      this.#failures++
      this.#firstFailure ??= String(error)
      // A lane whose connection has gone fails at once, over and over.
      await new Promise((later) => setTimeout(later, 20))
    }
  }
}
