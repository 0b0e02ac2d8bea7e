import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import pg from 'pg'

/** The beginning of the message BackendKeyData: tag and length. The process id of the server and a key follow. */
const BACKEND_KEY = Buffer.from([0x4b, 0, 0, 0, 12])

/**
 * Behaves like a connection pooler: it invents the process id of the server, and can move a client to another server connection between two
 * statements.
 */
export class FakePooler {
  readonly #target: URL
  readonly #server: Server
  readonly #clients = new Map<Socket, Socket>()
  readonly #sockets = new Set<Socket>()

  constructor(targetUrl: string) {
    this.#target = new URL(targetUrl)
    this.#server = createServer(client => this.#join(client))
  }

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
  }

  /** The target's URL, through the pooler. */
  get url(): string {
    const url = new URL(this.#target)
    url.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return url.href
  }

  /** Gives every client another server connection. The previous one stays open, with all its locks. */
  async handOver(): Promise<void> {
    for (const [client, before] of this.#clients) {
      const other = new pg.Client({ connectionString: this.#target.href })
      await other.connect()
      const { stream } = (other as unknown as { connection: { stream: Socket } }).connection
      stream.removeAllListeners()
      this.#keep(stream)
      client.unpipe(before)
      before.removeAllListeners('data').resume()
      this.#link(client, stream)
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server.close(), 'close')
  }

  #join(client: Socket): void {
    this.#keep(client)
    const server = this.#keep(connect(Number(this.#target.port), this.#target.hostname))
    client.once('close', () => {
      this.#clients.get(client)?.destroy()
      this.#clients.delete(client)
    })
    server.once('close', () => {
      if (this.#clients.get(client) === server) client.destroy()
    })
    this.#link(client, server)
  }

  #link(client: Socket, server: Socket): void {
    this.#clients.set(client, server)
    client.pipe(server, { end: false })
    server.on('data', answer => {
      const at = answer.indexOf(BACKEND_KEY)
      // The first match is the real message, because it comes before any result.
      if (at !== -1) answer.writeInt32BE(-1, at + BACKEND_KEY.length)
      client.write(answer)
    })
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket)
    return socket.on('error', () => undefined)
  }
}
