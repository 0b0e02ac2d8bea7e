import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The site of an attacker: another origin on this machine, whose pages a test writes. */
export class HostileSite {
  readonly #server: Server
  #html = ''

  constructor() {
    this.#server = createServer((_request, response) => response.setHeader('Content-Type', 'text/html').end(this.#html))
  }

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  /** Sets what the site serves. @returns its address */
  serve(html: string): string {
    this.#html = `<!doctype html><title>Hostile</title>${html}`
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }
}
