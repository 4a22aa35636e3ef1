import type { Server, Socket } from 'node:net'

/**
 * Closes connections beyond `max` as soon as they come. Not by `server.maxConnections`: a worker of Node's cluster
 * gives those back, and they would go round among workers that are all full, which costs them most of their time.
 */
export function limitConnections(server: Server, max: number, onDropped: () => void): void {
  let open = 0
  server.prependListener('connection', (socket: Socket) => {
    if (open >= max) {
      onDropped()
      // Whoever listens after this expects a socket that is open.
      process.nextTick(() => socket.destroy())
      return
    }
    open++
    socket.once('close', () => open--)
  })
}
