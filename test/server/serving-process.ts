import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { type Agent, request } from 'node:http'
import { startFeast, textOf } from '../cli/run-feast.js'

/** The built `feast serve` as a process of its own. */
export interface ServingProcess {
  readonly child: ChildProcess
  readonly port: number
  /** Its end, all that it wrote being read. Waited for from the start: it may be gone before its last client has noticed. */
  readonly exited: Promise<[code: number | null, signal: string | null]>
  /** What it has written so far. */
  stdout(): string
  stderr(): string
}

/** @param args after `serve --port 0` */
export async function startServing(folder: string, args: readonly string[] = []): Promise<ServingProcess> {
  const child = startFeast(folder, ['serve', '--port', '0', ...args])
  // Not 'exit': what it wrote is read to its end by then.
  const exited = once(child, 'close') as ServingProcess['exited']
  let [stdout, stderr] = ['', '']
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  const ready = new Promise<number>((resolve) => {
    child.stdout.on('data', (chunk) => {
      stdout += String(chunk)
      const port = /https?:\/\/[^\s:]+:(\d+)\b/.exec(stdout)?.[1]
      if (port !== undefined) resolve(Number(port))
    })
  })
  const port = await Promise.race([ready, exited.then(() => undefined)])
  if (port === undefined) throw new Error(`it did not start: ${stderr}`)
  return { child, port, exited, stdout: () => stdout, stderr: () => stderr }
}

export interface Answer {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface Question {
  readonly port: number
  readonly agent?: Agent
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** @throws what the connection failed with, or when there is no answer within 20 s */
export function ask({
  port,
  agent,
  method = 'GET',
  path = '/',
  headers = {},
  body,
}: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', agent, method, path, headers }, (answer) => {
      textOf(answer).then(
        (text) => resolve({ status: answer.statusCode, headers: answer.headers, text }),
        reject,
      )
    })
    sent.setTimeout(20_000, () => sent.destroy(new Error('no answer within 20 s')))
    sent.on('error', reject)
    sent.end(body)
  })
}

export const LOOKUP = {
  method: 'POST',
  path: '/get-online-features',
  body: JSON.stringify({ features: ['loc_stats:temp'], entities: { location_id: [1, 2, 3] } }),
} as const
