import { type AddressInfo, createServer, type Server } from 'node:net'

/** Node takes one new connection from a socket in each turn of the event loop. */
const SOCKETS = 4
const BACKLOG = 4096

/**
 * Listens on one port with several sockets, where the kernel shares connections out among such (Linux, SO_REUSEPORT): a burst of them is taken
 * that many times as fast while the process is busy. What the others take is handed to `server`.
 */
export class HttpListeners {
  readonly #server: Server
  #others: readonly Server[] = []

  constructor(server: Server) {
    this.#server = server
  }

  /** @throws what the operating system says, where the port cannot be had alone */
  async start(port: number, host: string): Promise<void> {
    if (process.platform !== 'linux') {
      await listen(this.#server, { port, host, backlog: BACKLOG })
      return
    }
    // A socket that shares its port would also share that of another process.
    if (port !== 0) await assureFree(port, host)
    await listen(this.#server, { port, host, backlog: BACKLOG, reusePort: true })
    const chosen = (this.#server.address() as AddressInfo).port
    for (let i = 1; i < SOCKETS; i += 1) {
      const other = createServer({ allowHalfOpen: true, noDelay: true }, socket => this.#server.emit('connection', socket))
      await listen(other, { port: chosen, host, backlog: BACKLOG, reusePort: true })
      this.#others = [...this.#others, other]
    }
  }

  /** Takes no connections from now on. Resolves when all those there are have ended. */
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
