import type { Worker } from 'node:cluster'

/** How Node's cluster sends a connection to a worker, which answers with `ack`. */
interface ClusterMessage {
  readonly act?: string
  readonly seq?: number
  readonly ack?: number
}

interface Connection {
  close(): void
}

type Send = (message: ClusterMessage, connection?: Connection, ...rest: unknown[]) => boolean

/**
 * Keeps connections that are on their way to a worker from getting lost with it. Node's cluster goes on waiting for
 * the answer of a worker that died meanwhile: the connection stays open, and nobody ever reads from it. Here that
 * worker's answer is given in its place: not taken, so that another one has it.
 *
 * Node has no interface for this. Should its ways change, such connections are lost again; a test would tell.
 * @param isAnyListening whether there are workers that could take them
 */
export function keepArrivals({ process: child }: Worker, isAnyListening: () => boolean): void {
  const onTheirWay = new Map<number, Connection>()
  const send = child.send.bind(child) as Send
  const noteAndSend: Send = (message, connection, ...rest) => {
    if (message.act === 'newconn' && connection) onTheirWay.set(message.seq!, connection)
    return send(message, connection, ...rest)
  }
  child.send = noteAndSend as typeof child.send
  child.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (ack !== undefined) onTheirWay.delete(ack)
  })
  // Called when the channel has come to its end: all that the worker had said is read.
  const disconnect = child.disconnect.bind(child)
  child.disconnect = () => {
    disconnect()
    if (onTheirWay.size === 0) return
    // This, too, Node puts off until the answers are there; the cluster gives the worker nothing more after it.
    child.emit('disconnect')
    for (const [ack, connection] of [...onTheirWay]) {
      if (isAnyListening()) child.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false })
      else connection.close()
    }
  }
}
