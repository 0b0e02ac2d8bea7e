import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { HTTP_PROBLEMS, type HttpProblemCode, problemBody } from './http-errors.ts'
import type { Part } from './lifecycle.ts'
import type { Logger } from './logger.ts'

/**
 * An HTTP server that stays answerable: what trickles is cut off, what is no HTTP gets a problem body too, and stopping loses no request.
 *
 * Limits: headers 16 KiB and complete within 8 s, the request within 9 s (checked every second), an idle connection 10 s.
 * Stop: for `drainMs` the port stays open, answering as before but closing each connection with its answer, so that what was sent
 * before the stop is not reset; then it closes, and waits for the answers under way.
 */
export interface HttpServerOptions {
  readonly name: string
  readonly port: number
  readonly host: string
  readonly handler: RequestListener
  readonly logger: Logger
  readonly drainMs?: number
}

export class HttpServer implements Part {
  readonly name: string
  readonly #options: HttpServerOptions
  readonly #server: Server
  #isDraining = false
  #isClosed = false

  constructor(options: HttpServerOptions) {
    this.name = options.name
    this.#options = options
    this.#server = createServer(
      {
        maxHeaderSize: 16 * 1024,
        headersTimeout: 8000,
        requestTimeout: 9000,
        connectionsCheckingInterval: 1000,
        keepAliveTimeout: 10_000,
        // A missing Host is refused in `handler`, with a body like every other refusal.
        requireHostHeader: false,
        noDelay: true,
      },
      this.#onRequest,
    )
    this.#server.on('clientError', refuseUnparsable)
    this.#server.on('connect', (_request: IncomingMessage, socket: Duplex) =>
      writeProblem(socket, 'method_not_allowed', 'CONNECT is not served.'),
    )
    this.#server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
      const body = problemBody('expectation_failed', HTTP_PROBLEMS.expectation_failed, 'Only Expect: 100-continue is understood.')
      response
        .writeHead(417, { 'Content-Type': 'application/problem+json', 'Content-Length': Buffer.byteLength(body), Connection: 'close' })
        .end(body)
    })
  }

  /** The port it listens on: the one chosen when 0 was asked for. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** True from the first moment of stopping on. */
  get isDraining(): boolean {
    return this.#isDraining
  }

  /** True once the port is closed: what still arrives on an open connection is to be refused. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** @throws {Error} with a sentence that names the port, when it cannot be had */
  async start(): Promise<void> {
    const { port, host, logger } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', error => reject(listenError(error, host, port)))
      this.#server.listen(port, host, 4096, resolve)
    })
    logger.info({ server: this.name, host, port: this.port }, 'listening')
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    this.#isDraining = true
    await sleep(this.#options.drainMs ?? 0)
    this.#isClosed = true
    await new Promise(resolve => this.#server.close(resolve))
  }

  readonly #onRequest: RequestListener = (request, response) => {
    if (this.#isDraining) response.setHeader('Connection', 'close')
    // An answer begun before the drain and ended after it leaves a kept-alive connection, which would hold the stop until it idles out.
    response.once('close', () => {
      if (this.#isClosed) this.#server.closeIdleConnections()
    })
    this.#options.handler(request, response)
  }
}

const LINGER_MS = 500

const PARSER_PROBLEMS: Readonly<Record<string, [HttpProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The headers exceed 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request was not complete within 10 seconds.'],
}

function refuseUnparsable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (socket.writableEnded) return
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [code, detail] = PARSER_PROBLEMS[error.code ?? ''] ?? ['bad_request', 'The request could not be parsed.']
  writeProblem(socket, code, detail)
}

/**
 * For a connection that has no response object: the parser gave up before there was one. What the peer is still sending is
 * read and dropped for a moment: closing over unread bytes would reset the connection before the peer has read the answer.
 */
function writeProblem(socket: Duplex, code: HttpProblemCode, detail: string): void {
  const kind = HTTP_PROBLEMS[code]
  const body = problemBody(code, kind, detail)
  socket.end(
    `HTTP/1.1 ${kind.status} ${STATUS_CODES[kind.status]}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  socket.resume()
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE')
    return new Error(`port ${port} is in use: stop what listens there or choose another port`, { cause: error })
  if (error.code === 'EACCES') return new Error(`port ${port} needs rights this process does not have`, { cause: error })
  return new Error(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error })
}
