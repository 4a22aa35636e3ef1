import { createServer, connect as netConnect, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Passes bytes on until it is told to do something else. */
export class TcpProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #silenced = new WeakSet<Socket>()
  /** What happens to a chunk of an answer. */
  answer: (chunk: Buffer, client: Socket) => void = passOn
  /** How late an answer comes. Whatever this is set to and when, the bytes of a connection stay in order. */
  delayMs = 0

  private constructor(target: number) {
    this.#server = createServer((client) => {
      const upstream = netConnect(target, '127.0.0.1')
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => {
          this.#sockets.delete(socket)
          client.destroy()
          upstream.destroy()
        })
      }
      client.pipe(upstream)
      this.#answers(upstream, client)
    })
  }

  #answers(upstream: Socket, client: Socket): void {
    let waiting = 0
    let last: Promise<unknown> = Promise.resolve()
    upstream.on('data', (chunk: Buffer) => {
      const act = () => client.destroyed || this.#silenced.has(client) || this.answer(chunk, client)
      if (waiting === 0 && this.delayMs === 0) return act()
      waiting++
      last = Promise.all([last, sleep(this.delayMs)]).then(() => {
        waiting--
        act()
      })
    })
  }

  static async to(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    await new Promise<void>((listening) => proxy.#server.listen(0, '127.0.0.1', listening))
    return proxy
  }

  /** Whatever happens later, this client gets no more bytes: a connection may lose its end, never its middle. */
  silence(client: Socket): void {
    this.#silenced.add(client)
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

export function passOn(chunk: Buffer, client: Socket): void {
  client.write(chunk)
}
