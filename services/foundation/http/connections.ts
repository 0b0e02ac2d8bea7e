import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** A request that came before the one ahead of it was answered. */
interface HeldRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** An open connection. */
interface Connection {
  /** What it waits for an answer to. */
  request: IncomingMessage | undefined
  wasUsed: boolean
  /** Requests that wait for their turn, first come first. */
  readonly held: HeldRequest[]
  /** What is to be said when all that came before is answered: nothing that follows can be read. */
  refuse: (() => void) | undefined
}

export interface HttpConnectionsOptions {
  /** Answers a request. Called for one request of a connection at a time. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Called when a request is over: answered, or its connection is gone. */
  readonly onOver: () => void
}

/** Requests one connection may send ahead. What Node has read at once may hold thousands. */
const MAX_HELD = 256
/** Requests all connections together may send ahead: some 4 KB each. */
const MAX_HELD_IN_ALL = 8192
/** What a held request with a chunked body counts for: what has come of its body may be thousands of chunks. */
const CHUNKED_WEIGHT = 64
/** Bytes of answers that wait in memory, over all connections, for peers to read them. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024

/**
 * The open connections of a server. One request of a connection is answered at a time: those it sends ahead wait, and nothing more is read from it
 * meanwhile, so that the rest waits in the kernel and the sender is told to stop by TCP. A connection that sends too many ahead is closed.
 */
export class HttpConnections {
  readonly #options: HttpConnectionsOptions
  readonly #open = new Map<Socket, Connection>()
  #held = 0
  /** Connections that have requests held, and none under way. */
  readonly #waiting: [Socket, Connection][] = []

  constructor(options: HttpConnectionsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#open.size
  }

  /** Whether a request of this connection is being handled. */
  isHandling(socket: Socket): boolean {
    return this.#open.get(socket)?.request !== undefined
  }

  add(socket: Socket): void {
    const connection: Connection = { request: undefined, wasUsed: false, held: [], refuse: undefined }
    this.#open.set(socket, connection)
    // Node resumes by itself at the end of each request; it does so before this.
    socket.on('resume', () => {
      if (isPaused(connection)) socket.pause()
    })
    socket.once('close', () => this.#forget(socket))
  }

  /** Has a request answered, now or when those before it are. */
  take(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const connection = this.#open.get(socket)
    // What Node had read of a connection that is being closed goes on being parsed. Nobody would get the answers.
    if (!connection) return
    if (hasUselessBody(request)) request.resume()
    if (connection.request || isPaused(connection)) this.#hold(connection, { request, response })
    else this.#begin(connection, { request, response })
  }

  /**
   * Calls `refuse` as soon as all that came before is answered: whatever is said earlier would be taken for the answer to that.
   * @param refuse says why nothing more is read from the connection
   */
  refuse(socket: Socket, refuse: () => void): void {
    const connection = this.#open.get(socket)
    if (!connection?.request?.complete) {
      refuse()
      return
    }
    connection.refuse ??= refuse
    socket.pause()
  }

  /**
   * Closes the connection that is missed least: the oldest that does not wait for us and was not used since it was looked at last (the clock algorithm,
   * which costs a request next to nothing). Who does not read its answer does not wait for us. Where all do, it is the newest.
   */
  makeRoom(newest: Socket): void {
    let leaving = newest
    for (const [socket, connection] of this.#open) {
      if (socket === newest || (connection.request?.complete && socket.writableLength === 0)) continue
      if (!connection.wasUsed) {
        leaving = socket
        break
      }
      connection.wasUsed = false
      this.#open.delete(socket)
      this.#open.set(socket, connection)
    }
    this.#close(leaving)
  }

  /**
   * Looks for peers that do not read their answers, and has them watched: Node tells when nothing of a write was taken for `timeoutMs`. While more bytes
   * wait in memory than may, closes the oldest of them.
   */
  watchUnread(timeoutMs: number): void {
    let unread = 0
    for (const socket of this.#open.keys()) {
      unread += socket.writableLength
      if (socket.writableLength > 0 && socket.timeout !== timeoutMs) socket.setTimeout(timeoutMs)
    }
    for (const socket of this.#open.keys()) {
      if (unread <= MAX_UNREAD_BYTES) return
      unread -= socket.writableLength
      if (socket.writableLength > 0) this.#close(socket)
    }
  }

  /** Closes all connections that have not sent a whole request. @param alsoWaiting and those that wait for an answer */
  cutOff(alsoWaiting: boolean): void {
    for (const [socket, { request }] of this.#open) if (!request?.complete || alsoWaiting) socket.destroy()
  }

  #begin(connection: Connection, { request, response }: HeldRequest): void {
    connection.request = request
    connection.wasUsed = true
    response.once('close', () => {
      connection.request = undefined
      this.#options.onOver()
      if (isPaused(connection)) this.#queue(request.socket, connection)
    })
    this.#options.handle(request, response)
  }

  #hold(connection: Connection, held: HeldRequest): void {
    const { socket } = held.request
    if (connection.held.length === MAX_HELD || this.#held + weightOf(held) > MAX_HELD_IN_ALL) {
      this.#close(socket)
      return
    }
    connection.held.push(held)
    this.#held += weightOf(held)
    socket.pause()
  }

  /**
   * Requests sent ahead are handled one in each turn of the event loop, whoever sent them: those who send one at a time do not wait for
   * those who send thousands.
   */
  #queue(socket: Socket, connection: Connection): void {
    if (this.#waiting.push([socket, connection]) === 1) setImmediate(this.#takeTurn)
  }

  readonly #takeTurn = (): void => {
    const [socket, connection] = this.#waiting.shift() as [Socket, Connection]
    if (this.#open.has(socket)) this.#next(socket, connection)
    if (this.#waiting.length > 0) setImmediate(this.#takeTurn)
  }

  #next(socket: Socket, connection: Connection): void {
    const next = connection.held.shift()
    if (next) this.#held -= weightOf(next)
    const { refuse } = connection
    if (refuse && !next?.request.complete) {
      connection.refuse = undefined
      refuse()
      return
    }
    if (!next) return
    if (!isPaused(connection)) socket.resume()
    this.#begin(connection, next)
  }

  #close(socket: Socket): void {
    this.#forget(socket)
    socket.destroy()
  }

  #forget(socket: Socket): void {
    for (const held of this.#open.get(socket)?.held ?? []) this.#held -= weightOf(held)
    this.#open.delete(socket)
  }
}

function isPaused({ held, refuse }: Connection): boolean {
  return held.length > 0 || refuse !== undefined
}

/** Nobody reads the body of a GET, and bodies that nobody reads pile up: chunks of one byte take a hundred times as much. */
function hasUselessBody({ method, headers }: IncomingMessage): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
}

function weightOf({ request }: HeldRequest): number {
  return request.headers['transfer-encoding'] === undefined ? 1 : CHUNKED_WEIGHT
}
