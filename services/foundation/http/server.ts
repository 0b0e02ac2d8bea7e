import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Part } from '../lifecycle/parts.ts'
import type { Logger } from '../telemetry/logger.ts'
import { HttpConnections } from './connections.ts'
import { HttpListeners } from './listeners.ts'
import { HTTP_PROBLEMS, type HttpProblemCode } from './problem-kinds.ts'
import { refuseRequest, refuseUnparsable, writeProblem } from './refusals.ts'

/**
 * An HTTP server that stays answerable: what trickles is cut off, what is no HTTP gets a problem body too, and stopping loses no request.
 *
 * Limits: headers 16 KiB and complete within 8 s, the request within 9 s (looked for twenty times a second, so that few are found at once), an idle
 * connection 10 s.
 * At most `maxConnections`: beyond them one that waits for no answer and was not used of late makes room, so that thousands of silent ones shut
 * nobody out; where all wait for an answer, the newest goes.
 * One request of a connection is answered at a time (HttpConnections). A peer that takes nothing of its answer for 5 to 10 s is cut off, and sooner
 * where too many bytes wait for peers.
 * Stop: for `drainMs` the port stays open, answering as before but closing each connection with its answer, so that what was sent
 * before the stop is not reset; then it closes, waits for the answers under way, and after a second cuts off whoever has not sent
 * a whole request: nothing else would end a silent connection then.
 */
export interface HttpServerOptions {
  readonly name: string
  readonly port: number
  readonly host: string
  readonly handler: RequestListener
  readonly logger: Logger
  /** No bound when left out. */
  readonly maxConnections?: number
  readonly drainMs?: number
  /** Whether that second is all that answers under way get too: for what may take minutes and can be asked again. */
  readonly cutsAnswers?: boolean
  /** Told of each refusal that the handler never sees: of what is no HTTP, or did not arrive in time. */
  readonly onRefused?: (refusal: Refusal) => void
}

export interface Refusal {
  readonly code: string
  readonly status: number
  /** `unknown` where not even that could be read. */
  readonly method: string
  readonly url: string | undefined
}

export class HttpServer implements Part {
  readonly name: string
  readonly #options: HttpServerOptions
  readonly #server: Server
  readonly #listeners: HttpListeners
  readonly #connections: HttpConnections
  /** Connections and requests that have come so far. */
  #arrivals = 0
  #toldFullAt = Number.NEGATIVE_INFINITY
  #watching: NodeJS.Timeout | undefined
  #isDraining = false
  #isClosed = false

  constructor(options: HttpServerOptions) {
    this.name = options.name
    this.#options = options
    this.#connections = new HttpConnections({
      handle: this.#handle,
      // An answer begun before the drain and ended after it leaves a kept-alive connection, which would hold the stop until it idles out.
      onOver: () => this.#isClosed && this.#server.closeIdleConnections(),
    })
    this.#server = createServer(
      {
        maxHeaderSize: 16 * 1024,
        headersTimeout: 8000,
        requestTimeout: 9000,
        connectionsCheckingInterval: 50,
        keepAliveTimeout: 10_000,
        // A missing Host is refused in `handler`, with a body like every other refusal.
        requireHostHeader: false,
        noDelay: true,
      },
      (request, response) => {
        this.#arrivals += 1
        this.#connections.take(request, response)
      },
    )
    this.#listeners = new HttpListeners(this.#server)
    this.#server.on('connection', (socket: Socket) => {
      this.#arrivals += 1
      this.#connections.add(socket)
      if (this.#connections.count > (options.maxConnections ?? Number.POSITIVE_INFINITY)) this.#makeRoom(socket)
    })
    this.#server.on('timeout', onSilence)
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
      this.#connections.refuse(socket, () =>
        refuseUnparsable(error, socket, code => {
          // A request that is being handled is counted where it ends.
          if (!this.#connections.isHandling(socket)) this.#tellRefused(code)
        }),
      ),
    )
    this.#server.on('connect', (request: IncomingMessage, socket: Duplex) => {
      writeProblem(socket, 'method_not_allowed', 'CONNECT is not served.', request.headers)
      this.#tellRefused('method_not_allowed', request)
    })
    this.#server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      refuseRequest(request, response, 'expectation_failed', 'Only Expect: 100-continue is understood.')
      this.#tellRefused('expectation_failed', request)
    })
  }

  /** The port it listens on: the one chosen when 0 was asked for. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections.count
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
    await this.#listeners.start(port, host).catch(error => {
      throw listenError(error, host, port)
    })
    this.#watching = setInterval(() => this.#connections.watchUnread(UNREAD_MS), WATCH_MS).unref()
    logger.info({ server: this.name, host, port: this.port }, 'listening')
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    this.#isDraining = true
    await sleep(this.#options.drainMs ?? 0)
    await this.#calm()
    this.#isClosed = true
    // A closed server of Node's checks its timeouts no more, so a peer that never sends its request would hold the stop for ever.
    const stragglers = setInterval(() => this.#connections.cutOff(this.#options.cutsAnswers ?? false), STRAGGLER_MS)
    await this.#listeners.stop()
    clearInterval(stragglers)
    clearInterval(this.#watching)
  }

  /**
   * Waits, a second at the most, until nothing has arrived for a moment: on a busy machine what was sent before the stop may still lie in the
   * kernel when the drain is over, and closing the port would reset it.
   */
  async #calm(): Promise<void> {
    const until = performance.now() + MAX_CALM_MS
    for (let seen = -1; seen !== this.#arrivals && performance.now() < until; ) {
      seen = this.#arrivals
      await sleep(CALM_MS)
    }
  }

  #makeRoom(newest: Socket): void {
    const { logger, maxConnections } = this.#options
    if (performance.now() - this.#toldFullAt > TELL_FULL_MS) {
      this.#toldFullAt = performance.now()
      logger.warn(
        { connections: maxConnections },
        'too many connections: those that wait for no answer and were not used of late are closed',
      )
    }
    this.#connections.makeRoom(newest)
  }

  readonly #handle: RequestListener = (request, response) => {
    if (this.#isDraining) response.setHeader('Connection', 'close')
    if (isTarget(request.url ?? '')) {
      this.#options.handler(request, response)
      return
    }
    refuseRequest(request, response, 'bad_request', 'The request target is neither a path nor an http URL.')
    this.#tellRefused('bad_request', request)
  }

  #tellRefused(code: HttpProblemCode, { method = 'unknown', url }: Partial<IncomingMessage> = {}): void {
    this.#options.onRefused?.({ code, status: HTTP_PROBLEMS[code].status, method, url })
  }
}

/** A kept-alive connection was idle for long, or the peer took nothing of what waits for it. */
function onSilence(socket: Socket): void {
  const isIdle = socket.timeout !== UNREAD_MS
  if (isIdle || socket.writableLength > 0) socket.destroy()
}

const CALM_MS = 25
const MAX_CALM_MS = 1000
const STRAGGLER_MS = 1000
const TELL_FULL_MS = 10_000
/** Node looks once when the last write was so long ago, and once more if some of it was taken meanwhile. */
const UNREAD_MS = 4500
const WATCH_MS = 1000

/** What Express takes apart: a path, an http URL (RFC 9112, 3.2.2), or the asterisk of OPTIONS. */
function isTarget(url: string): boolean {
  return url.startsWith('/') || url === '*' || (/^https?:\/\//i.test(url) && URL.canParse(url))
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE')
    return new Error(`port ${port} is in use: stop what listens there or choose another port`, { cause: error })
  if (error.code === 'EACCES') return new Error(`port ${port} needs rights this process does not have`, { cause: error })
  return new Error(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error })
}
