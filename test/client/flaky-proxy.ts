import { connect, createServer, type Server, type Socket } from 'node:net'

/** What happens to one connection. */
export interface Fate {
  /** Reset before anything is read. */
  readonly refuse?: boolean
  /** Reset when the client has sent so many bytes; they do not reach the server. */
  readonly resetAfterSent?: number
  /** Cut when the server has answered so many bytes. */
  readonly cutAfterAnswered?: number
  /** Bytes go neither way from the start. */
  readonly hang?: boolean
  /** Every chunk of an answer comes so much later. */
  readonly delayMs?: number
}

/** A TCP proxy in front of a server, or now one and now another, that treats connections as it is told to. */
export class FlakyProxy {
  /** Asked for every new connection. */
  fate: (index: number) => Fate = () => ({})
  connections = 0
  readonly open = new Set<Socket>()
  readonly #server: Server
  readonly #all = new Set<Socket>()

  private constructor(public targetPort: number) {
    this.#server = createServer((socket) => this.#accept(socket))
  }

  static async start(targetPort: number): Promise<FlakyProxy> {
    const proxy = new FlakyProxy(targetPort)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** Resets the connections that are open now at the next byte that a client sends on them. */
  poison(): void {
    for (const socket of this.open) {
      socket.removeAllListeners('data')
      socket.once('data', () => socket.resetAndDestroy())
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.#all) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(client: Socket): void {
    const { refuse, resetAfterSent, cutAfterAnswered, hang, delayMs } = this.fate(this.connections++)
    this.#keep(client)
    if (refuse) return void client.resetAndDestroy()
    this.open.add(client)
    client.once('close', () => this.open.delete(client))
    if (hang) return void client.resume()
    const server = connect(this.targetPort, '127.0.0.1')
    this.#keep(server)
    let sent = 0
    client.on('data', (chunk: Buffer) => {
      sent += chunk.length
      if (resetAfterSent !== undefined && sent >= resetAfterSent) client.resetAndDestroy()
      else server.write(chunk)
    })
    let answered = 0
    server.on('data', (chunk: Buffer) => {
      const room = cutAfterAnswered === undefined ? chunk.length : cutAfterAnswered - answered
      answered += chunk.length
      const pass = () => {
        if (client.destroyed) return
        client.write(chunk.subarray(0, Math.max(0, room)))
        if (room < chunk.length) client.destroySoon()
      }
      if (delayMs) setTimeout(pass, delayMs).unref()
      else pass()
    })
    client.once('close', () => server.destroy())
    server.once('close', () => client.destroySoon())
  }

  #keep(socket: Socket): void {
    this.#all.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => this.#all.delete(socket))
  }
}
