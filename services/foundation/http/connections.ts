import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** A request that arrived before the previous one was answered. */
interface HeldRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** The state of an open connection. */
interface Connection {
  /** The request that is being answered. */
  request: IncomingMessage | undefined
  wasUsed: boolean
  /** Requests that wait for their turn, in order of arrival. */
  readonly held: HeldRequest[]
  /** Sends a refusal after all earlier requests are answered. Nothing after them can be read. */
  refuse: (() => void) | undefined
}

export interface HttpConnectionsOptions {
  /** Answers a request. It is called for one request of a connection at a time. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Called when a request is answered, or when its connection has closed. */
  readonly onOver: () => void
}

/** Maximum number of requests that one connection may send ahead. One read of Node can contain thousands. */
const MAX_HELD = 256
/** Maximum number of requests that all connections together may send ahead. Each takes kilobytes, and Node keeps them until its connection is closed. */
const MAX_HELD_IN_ALL = 1024
/** Weight of a held request with a chunked body, because thousands of its chunks may have arrived. Other requests have weight 1. */
const CHUNKED_WEIGHT = 64
/** Maximum number of bytes of answers, over all connections, that wait in memory for peers to read them. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024

/**
 * The open connections of a server. It answers one request of a connection at a time. Requests sent ahead wait, and the server reads
 * nothing more from that connection meanwhile. The rest waits in the kernel, and TCP makes the sender stop. A connection that sends too
 * many requests ahead is closed.
 */
export class HttpConnections {
  readonly #options: HttpConnectionsOptions
  readonly #open = new Map<Socket, Connection>()
  #held = 0
  /** Connections that no longer carry requests, but still count. */
  #handedOver = 0
  /** Connections that have held requests, and none under way. */
  readonly #waiting: [Socket, Connection][] = []

  constructor(options: HttpConnectionsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#open.size + this.#handedOver
  }

  /** Whether the connection has a request under way. */
  isHandling(socket: Socket): boolean {
    return this.#open.get(socket)?.request !== undefined
  }

  add(socket: Socket): void {
    const connection: Connection = { request: undefined, wasUsed: false, held: [], refuse: undefined }
    this.#open.set(socket, connection)
    // Node itself resumes the socket at the end of each request, before this handler runs.
    socket.on('resume', () => {
      if (isPaused(connection)) socket.pause()
    })
    socket.once('close', () => this.#forget(socket))
  }

  /** Answers a request now, or after the earlier ones of its connection. */
  take(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const connection = this.#open.get(socket)
    // Node still parses bytes that it had read from a connection that is being closed. Nobody would get these answers.
    if (!connection) return
    if (hasUselessBody(request)) request.resume()
    if (connection.request || isPaused(connection)) this.#hold(connection, { request, response })
    else this.#begin(connection, { request, response })
  }

  /**
   * Answers a request that is the last of its connection, because it asks for another protocol. A client must not send such a request ahead: the
   * connection is closed.
   */
  takeLast(socket: Socket, last: () => HeldRequest): void {
    const connection = this.#open.get(socket)
    if (!connection) return
    if (connection.request || isPaused(connection)) this.#close(socket)
    else this.#begin(connection, last())
  }

  /** Gives a connection away that has changed its protocol. It still counts, but `makeRoom` and `cutOff` leave it alone. */
  handOver(socket: Socket): void {
    this.#forget(socket)
    this.#handedOver += 1
    socket.once('close', () => {
      this.#handedOver -= 1
    })
  }

  /**
   * Calls `refuse` after all earlier requests are answered. If it came earlier, the peer would take it for the answer to one of them.
   * @param refuse sends the reason why nothing more is read from the connection
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
   * Closes the oldest connection that waits for no answer and was not used since the last look. This is the clock algorithm, whose cost per
   * request is negligible. A peer that does not read its answer does not count as waiting. If all connections wait for an answer, it closes
   * the newest.
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
   * Finds peers that do not read their answers, and sets a timeout for each: Node reports when a peer has taken nothing of a write for
   * `timeoutMs`. While too many bytes wait in memory, it closes the oldest of these connections.
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

  /** Closes all connections that have not sent a whole request. @param alsoWaiting whether to close those that wait for an answer too */
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
   * Queues a connection with held requests. Over all connections, one such request is handled per turn of the event loop. So a peer that
   * sends one request at a time does not wait for one that sends thousands.
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

  /** Lets go of the held requests too: the connection itself may wait for its turn, and each request takes kilobytes. */
  #forget(socket: Socket): void {
    for (const held of this.#open.get(socket)?.held.splice(0) ?? []) this.#held -= weightOf(held)
    this.#open.delete(socket)
  }
}

function isPaused({ held, refuse }: Connection): boolean {
  return held.length > 0 || refuse !== undefined
}

/** Whether the request has a body that nobody reads. Such bodies fill the memory: chunks of one byte take a hundred times their size. */
function hasUselessBody({ method, headers }: IncomingMessage): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
}

function weightOf({ request }: HeldRequest): number {
  return request.headers['transfer-encoding'] === undefined ? 1 : CHUNKED_WEIGHT
}
