import { type AddressInfo, createServer, type Server } from 'node:net'

/** Number of listening sockets. Node takes one new connection from each socket per turn of the event loop. */
const SOCKETS = 4
const BACKLOG = 4096

/**
 * Listens on one port with several sockets, if the kernel distributes connections among them (Linux, SO_REUSEPORT). While the process is
 * busy, a burst of connections is then accepted four times as fast. The other sockets hand their connections to `server`.
 */
export class HttpListeners {
  readonly #server: Server
  #others: readonly Server[] = []

  constructor(server: Server) {
    this.#server = server
  }

  /** Starts to listen. @throws the error of the operating system if the port is not free */
  async start(port: number, host: string): Promise<void> {
    if (process.platform !== 'linux') {
      await listen(this.#server, { port, host, backlog: BACKLOG })
      return
    }
    // With SO_REUSEPORT, the socket could also share the port with another process.
    if (port !== 0) await assureFree(port, host)
    await listen(this.#server, { port, host, backlog: BACKLOG, reusePort: true })
    const chosen = (this.#server.address() as AddressInfo).port
    for (let i = 1; i < SOCKETS; i += 1) {
      const other = createServer({ allowHalfOpen: true, noDelay: true }, socket => this.#server.emit('connection', socket))
      await listen(other, { port: chosen, host, backlog: BACKLOG, reusePort: true })
      this.#others = [...this.#others, other]
    }
  }

  /** Accepts no more connections. Resolves when all open ones have ended. */
  async stop(): Promise<void> {
    await Promise.all([this.#server, ...this.#others].map(close))
  }
}

async function assureFree(port: number, host: string): Promise<void> {
  const alone = createServer()
  await listen(alone, { port, host })
  await close(alone)
}

function listen(server: Server, options: { port: number; host: string; backlog?: number; reusePort?: boolean }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function close(server: Server): Promise<unknown> {
  return new Promise(resolve => server.close(resolve))
}
