import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Linux gives ports from 32768 on to whoever asks for any, and to whoever connects. One from below is still free when
 * its server starts or starts again, and nobody who tries to connect to it meets himself. 10 000 further up, where the
 * nodes of a Redis cluster listen as well, none of these is found, either.
 */
const FIRST = 11_000
const WORKERS = 10
const PER_WORKER = 1000

const start = FIRST + (Number(process.env['JEST_WORKER_ID'] ?? 0) % WORKERS) * PER_WORKER
let next = Math.floor(Math.random() * PER_WORKER)

/** A port of this machine that is free, and stays it until it is used. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PER_WORKER; tries++) {
    const port = start + (next++ % PER_WORKER)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error(`no port from ${start} on is free`)
}
