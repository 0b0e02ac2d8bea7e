import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { Part } from '../lifecycle/parts.ts'
import type { Logger } from '../telemetry/logger.ts'
import { HttpConnections } from './connections.ts'
import { HttpListeners } from './listeners.ts'
import { HTTP_PROBLEMS, type HttpProblemCode } from './problem-kinds.ts'
import { refuseRequest, refuseUnparsable, writeProblem } from './refusals.ts'
import { Shutdown } from './shutdown.ts'
import { asksForWebSocket, responseToUpgrade } from './websocket.ts'

export interface HttpServerOptions {
  readonly name: string
  readonly port: number
  readonly host: string
  readonly handler: RequestListener
  readonly logger: Logger
  /** Maximum number of open connections (default: no bound). */
  readonly maxConnections?: number
  /** Time at the stop during which the port stays open (default: 0). */
  readonly drainMs?: number
  /** Where the server says how far it has stopped. */
  readonly shutdown?: Shutdown
  /**
   * Whether the stop closes the port although requests still come, and cuts off answers under way after a second. This suits answers that take
   * minutes and can be requested again.
   */
  readonly cutsAnswers?: boolean
  /** Whether the handler may turn requests into WebSockets, with `acceptWebSocket` (default: false). */
  readonly hasWebSockets?: boolean
  /** Called for each refusal that the handler does not see, because the request was not HTTP or did not arrive in time. */
  readonly onRefused?: (refusal: Refusal) => void
}

export interface Refusal {
  readonly code: string
  readonly status: number
  /** The method of the request; `unknown` if the server could not read it. */
  readonly method: string
  readonly url: string | undefined
}

/**
 * An HTTP server that stays available. It cuts off peers that are too slow, answers requests that are not HTTP with a problem body, and
 * loses no request when it stops.
 *
 * Limits: headers have at most 16 KiB and arrive within 8 s. A whole request arrives within 9 s. An idle connection stays open for 10 s.
 * The server checks these times twenty times a second, so that each check finds few connections.
 *
 * Beyond `maxConnections`, the server closes a connection that waits for no answer and was not used recently. So thousands of silent
 * connections shut nobody out. If all connections wait for an answer, it closes the newest.
 *
 * The server answers one request of a connection at a time (see `HttpConnections`). It cuts off a peer that takes nothing of its answer for
 * 5 to 10 s, or sooner if too many bytes wait for peers.
 *
 * Stop: for `drainMs` the port stays open. The server answers as before, but closes each connection after its answer, so that requests sent
 * before the stop are not reset. Then it closes the port and waits for the answers under way. After a second it cuts off peers that have
 * not sent a whole request.
 */
export class HttpServer implements Part {
  readonly name: string
  readonly shutdown: Shutdown
  readonly #options: HttpServerOptions
  readonly #server: Server
  readonly #listeners: HttpListeners
  readonly #connections: HttpConnections
  /** Connections and requests that have come so far. */
  #arrivals = 0
  #toldFullAt = Number.NEGATIVE_INFINITY
  #watching: NodeJS.Timeout | undefined

  constructor(options: HttpServerOptions) {
    this.name = options.name
    this.#options = options
    this.shutdown = options.shutdown ?? new Shutdown()
    this.#connections = new HttpConnections({
      handle: this.#handle,
      // An answer that begins before the drain and ends after it leaves an idle connection. That would delay the stop until its timeout.
      onOver: () => this.shutdown.isClosed && this.#server.closeIdleConnections(),
    })
    this.#server = createServer(
      {
        maxHeaderSize: 16 * 1024,
        headersTimeout: 8000,
        requestTimeout: 9000,
        connectionsCheckingInterval: 50,
        keepAliveTimeout: 10_000,
        // `handler` refuses a request without Host, with a problem body like every other refusal.
        requireHostHeader: false,
        noDelay: true,
        shouldUpgradeCallback: request => options.hasWebSockets === true && asksForWebSocket(request),
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
          // A request that is being handled is counted when it ends.
          if (!this.#connections.isHandling(socket)) this.#tellRefused(code)
        }),
      ),
    )
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#arrivals += 1
      // Node has removed its own listener, which reports silence.
      socket.on('timeout', () => onSilence(socket))
      const onAccepted = (): void => this.#connections.handOver(socket)
      this.#connections.takeLast(socket, () => ({ request, response: responseToUpgrade({ request, socket, head, onAccepted }) }))
    })
    this.#server.on('connect', (request: IncomingMessage, socket: Duplex) => {
      writeProblem(socket, 'method_not_allowed', 'CONNECT is not served.', request.headers)
      this.#tellRefused('method_not_allowed', request)
    })
    this.#server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      refuseRequest(request, response, 'expectation_failed', 'Only Expect: 100-continue is understood.')
      this.#tellRefused('expectation_failed', request)
    })
  }

  /** The port that the server listens on. If the option was 0, it is the port that the system chose. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#connections.count
  }

  /** Starts to listen. @throws {Error} the port is not available; the message is a sentence that names it */
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
    this.shutdown.isDraining = true
    await sleep(this.#options.drainMs ?? 0)
    // Open pages ask the admin port again and again. Claimed callbacks would wait for them until another replica may take them.
    if (!this.#options.cutsAnswers) await this.#calm()
    this.shutdown.isClosed = true
    // A closed Node server no longer checks its timeouts. A peer that never sends its request would otherwise block the stop forever.
    const stragglers = setInterval(() => this.#connections.cutOff(this.#options.cutsAnswers ?? false), STRAGGLER_MS)
    await this.#listeners.stop()
    clearInterval(stragglers)
    clearInterval(this.#watching)
  }

  /**
   * Waits until nothing has arrived for 25 ms, at most three seconds. On a busy machine, requests sent before the stop may still wait in the
   * kernel after the drain. Closing the port would reset them.
   */
  async #calm(): Promise<void> {
    const until = performance.now() + MAX_CALM_MS
    for (let seen = -1; seen !== this.#arrivals && performance.now() < until; ) {
      seen = this.#arrivals
      await sleep(CALM_MS)
      // After a long turn of the event loop, timers come before what the kernel has meanwhile. A turn accepts one connection, the next reads it.
      for (let turns = 0; turns < CALM_TURNS; turns += 1) await turn()
    }
  }

  #makeRoom(newest: Socket): void {
    const { logger, maxConnections } = this.#options
    if (performance.now() - this.#toldFullAt > TELL_FULL_MS) {
      this.#toldFullAt = performance.now()
      logger.warn({ connections: maxConnections }, 'too many connections: closing those that wait for no answer and were not used recently')
    }
    this.#connections.makeRoom(newest)
  }

  readonly #handle: RequestListener = (request, response) => {
    if (this.shutdown.isDraining) response.setHeader('Connection', 'close')
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

/** Closes a connection that was idle for too long, or whose peer takes nothing of its answer. */
function onSilence(socket: Socket): void {
  const isIdle = socket.timeout !== UNREAD_MS
  if (isIdle || socket.writableLength > 0) socket.destroy()
}

const CALM_MS = 25
const CALM_TURNS = 3
const MAX_CALM_MS = 3000
const STRAGGLER_MS = 1000
const TELL_FULL_MS = 10_000
/** Time since the last write after which Node checks a socket. If the peer has taken a part by then, Node checks once more. */
const UNREAD_MS = 4500
const WATCH_MS = 1000

/** Whether Express can parse the request target: a path, an http URL (RFC 9112, 3.2.2), or the asterisk of OPTIONS. */
function isTarget(url: string): boolean {
  return url.startsWith('/') || url === '*' || (/^https?:\/\//i.test(url) && URL.canParse(url))
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE')
    return new Error(`port ${port} is in use: stop the program that listens there, or choose another port`, { cause: error })
  if (error.code === 'EACCES') return new Error(`port ${port} needs rights that this process does not have`, { cause: error })
  return new Error(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error })
}
