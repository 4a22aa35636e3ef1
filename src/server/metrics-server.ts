import { createServer, type Server } from 'node:http'
import { feastError } from '../core/errors.js'

export const METRICS_PORT = 8000
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Metrics on a port of their own, at any path, as Feast has them. @throws PORT_IN_USE */
export async function serveMetrics(text: () => Promise<string>, host: string, port: number): Promise<Server> {
  const server = createServer((_request, response) => {
    text().then(
      (body) => response.writeHead(200, { 'content-type': METRICS_CONTENT_TYPE }).end(body),
      () => response.writeHead(500).end(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)))
    server.listen(port, host, resolve)
  })
  return server
}

/** @param flag of the command line that names another port */
export function listenError(error: unknown, host: string, port: number, flag?: string): unknown {
  const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
  return isTaken ? feastError('PORT_IN_USE', { host, port, ...(flag ? { flag } : {}) }, error) : error
}
