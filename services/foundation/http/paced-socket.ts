import type { WebSocket } from 'ws'

/** Why a WebSocket ends (RFC 6455, 7.4.1). Those from 4000 on are ours. */
export const CLOSE_CODES = { goingAway: 1001, policyViolation: 1008, tryAgainLater: 1013, keyInvalid: 4401, startOver: 4410 } as const

/** Time between two messages to one client: at most ten a second. */
const SPACING_MS = 100
/** Maximum number of bytes that wait in memory for a client to read them. */
const MAX_WAITING_BYTES = 256 * 1024
/** Time that a message waits for a client to read earlier ones. */
const MAX_BLOCKED_MS = 2000
/** Maximum size of the messages that wait for their turn. Clients share these bytes, so they cost little. */
const MAX_BEHIND_BYTES = 16 * 1024 * 1024
const PING_MS = 20_000
const PONG_MS = 10_000
/** Maximum number of messages, pings and pongs that a client may send in `PING_MS`. */
const MAX_INCOMING = 100
/** Time that a client has to answer a close. */
const CLOSE_MS = 1000

/**
 * A WebSocket that sends at most ten messages a second, and ignores what the client sends. It is closed with 1013 if its client reads too
 * slowly: 256 KiB wait in memory for 2 s, or the client is 16 MiB behind. It is closed with 1008 if the client sends more than 100 messages
 * in 20 s. A client that answers no ping, or no close, is cut off.
 */
export class PacedSocket {
  readonly #socket: WebSocket
  readonly #queue: Buffer[] = []
  #queuedBytes = 0
  #nextAtMs = 0
  #blockedSinceMs: number | undefined
  #timer: NodeJS.Timeout | undefined
  #incoming = 0
  #pingedAtMs = performance.now()
  #awaitsPong = false

  /** @param onClosed called once when the connection has ended, for whatever reason */
  constructor(socket: WebSocket, onClosed: () => void) {
    this.#socket = socket
    socket.on('message', () => this.#countIncoming())
    socket.on('ping', data => {
      this.#countIncoming()
      if (this.#isOpen && socket.bufferedAmount < MAX_WAITING_BYTES) socket.pong(data)
    })
    socket.on('pong', () => {
      this.#countIncoming()
      this.#awaitsPong = false
    })
    // A close follows.
    socket.on('error', () => this.#cutOffLater())
    socket.once('close', () => {
      this.#drop()
      onClosed()
    })
  }

  /** Sends a text message when it is its turn. The buffer must not change afterwards. */
  send(message: Buffer): void {
    if (!this.#isOpen) return
    this.#queue.push(message)
    this.#queuedBytes += message.length
    if (this.#queuedBytes > MAX_BEHIND_BYTES) this.close(CLOSE_CODES.tryAgainLater, 'reads too slowly')
    else if (!this.#timer) this.#sendNext()
  }

  /** Ends the connection. Messages that wait for their turn are not sent. */
  close(code: number, reason: string): void {
    this.#drop()
    if (!this.#isOpen) return
    this.#socket.close(code, reason)
    this.#cutOffLater()
  }

  /** Pings, and cuts off a client that did not answer the last one. Call it about once a second. */
  check(): void {
    const silentMs = performance.now() - this.#pingedAtMs
    if (this.#awaitsPong && silentMs > PONG_MS) this.#socket.terminate()
    else if (silentMs > PING_MS && this.#isOpen) {
      this.#pingedAtMs += silentMs
      this.#awaitsPong = true
      this.#incoming = 0
      this.#socket.ping()
    }
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  #sendNext(): void {
    this.#timer = undefined
    const next = this.#queue[0]
    if (!next) return
    const nowMs = performance.now()
    const { bufferedAmount } = this.#socket
    const isBlocked = bufferedAmount > 0 && bufferedAmount + next.length > MAX_WAITING_BYTES
    this.#blockedSinceMs = isBlocked ? (this.#blockedSinceMs ?? nowMs) : undefined
    if (nowMs - (this.#blockedSinceMs ?? nowMs) > MAX_BLOCKED_MS) {
      this.close(CLOSE_CODES.tryAgainLater, 'reads too slowly')
      return
    }
    if (!isBlocked && nowMs >= this.#nextAtMs) {
      this.#queue.shift()
      this.#queuedBytes -= next.length
      this.#nextAtMs = nowMs + SPACING_MS
      this.#socket.send(next, { binary: false })
    }
    if (this.#queue.length > 0)
      this.#timer = setTimeout(() => this.#sendNext(), Math.max(1, this.#nextAtMs - nowMs, isBlocked ? SPACING_MS : 0)).unref()
  }

  #countIncoming(): void {
    this.#incoming += 1
    if (this.#incoming <= MAX_INCOMING) return
    this.close(CLOSE_CODES.policyViolation, 'sends too much')
    // It may still read the close. Reading on until it is cut off would take time from others.
    this.#socket.pause()
  }

  #drop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#queue.length = 0
    this.#queuedBytes = 0
  }

  #cutOffLater(): void {
    setTimeout(() => this.#socket.terminate(), CLOSE_MS).unref()
  }
}
