import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { HttpProblem } from './problems.ts'

/** Maximum size of a message from a client, in bytes. A larger one closes its WebSocket with 1009. */
const MAX_INCOMING_BYTES = 4096
/** Maximum number of frames of such a message. Empty ones cost time, but do not count as bytes. */
const MAX_INCOMING_FRAMES = 16

interface Upgrade {
  readonly request: IncomingMessage
  readonly socket: Socket
  readonly head: Buffer
  /** Called when the connection has become a WebSocket: the server no longer knows it. */
  readonly onAccepted: () => void
}

const upgrades = new WeakMap<ServerResponse, Upgrade>()

// Answering pings is left to `PacedSocket`: the answers to a flood of pings would fill the memory if the peer did not read.
const handshakes = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_INCOMING_BYTES,
  maxFragments: MAX_INCOMING_FRAMES,
  autoPong: false,
})

/**
 * Whether a request asks for a WebSocket. The server answers every other upgrade as if nobody had asked for it (RFC 9110, 7.8). The HTTP
 * client of Java asks for HTTP/2 in each request, and its callbacks must be accepted. HTTP/1.0 has no upgrades.
 */
export function asksForWebSocket({ method, headers, httpVersion }: IncomingMessage): boolean {
  return method === 'GET' && httpVersion === '1.1' && headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * Makes the response to a request that asks for a WebSocket. So it passes the same gates as every other request, and a refusal is an answer
 * like all others. The connection ends after the answer.
 */
export function responseToUpgrade(upgrade: Upgrade): ServerResponse {
  const { request, socket } = upgrade
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  // Node has removed its own listener.
  socket.on('error', () => socket.destroy())
  response.once('finish', () => socket.destroySoon())
  upgrades.set(response, upgrade)
  return response
}

/** Refuses a request that does not ask for a WebSocket as RFC 6455, 4.2.1, wants it. @throws {HttpProblem} upgrade_required, bad_request */
export function requireWebSocket(request: IncomingMessage): void {
  const { headers } = request
  const isUpgrade = /(^|,)\s*upgrade\s*(,|$)/i.test(headers.connection ?? '')
  if (!asksForWebSocket(request) || !isUpgrade || headers['sec-websocket-version'] !== '13') {
    throw new HttpProblem('upgrade_required', 'This path is a WebSocket of version 13.', {
      headers: { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13' },
    })
  }
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? ''))
    throw new HttpProblem('bad_request', 'Sec-WebSocket-Key is not 16 bytes in base64.')
}

/**
 * Answers with 101. The headers that the response has already are sent too.
 * @returns the WebSocket; undefined if the caller has left
 */
export function acceptWebSocket(response: ServerResponse): WebSocket | undefined {
  const upgrade = upgrades.get(response)
  if (!upgrade) throw new Error('the request does not ask for a WebSocket, or its server serves none')
  const { request, socket, head, onAccepted } = upgrade
  if (socket.destroyed || !socket.readable || !socket.writable) return undefined
  response.detachSocket(socket)
  const addHeaders = (lines: string[], of: IncomingMessage): void => {
    if (of === request) lines.push(...Object.entries(response.getHeaders()).map(([name, value]) => `${name}: ${value}`))
  }
  let accepted: WebSocket | undefined
  handshakes.on('headers', addHeaders)
  handshakes.handleUpgrade(request, socket, head, webSocket => {
    accepted = webSocket
  })
  handshakes.off('headers', addHeaders)
  // Who watches the response, such as the telemetry, learns that it has ended.
  response.statusCode = 101
  onAccepted()
  response.emit('close')
  return accepted
}

/**
 * Refuses a page of an origin that may not use the port. A WebSocket is not subject to CORS, so nothing else protects it.
 * @param allowed origins that may, besides that of the Host header, as browsers write them
 * @throws {HttpProblem} origin_not_allowed
 */
export function requireOrigin({ headers }: IncomingMessage, allowed: ReadonlySet<string>): void {
  const { origin, host } = headers
  if (origin === undefined || allowed.has(origin) || isSameHost(origin, host ?? '')) return
  throw new HttpProblem('origin_not_allowed', 'Pages of this origin may not open a WebSocket here.')
}

/** The scheme may differ, because a proxy may speak TLS for us. */
function isSameHost(origin: string, host: string): boolean {
  const theirs = URL.parse(origin)
  const ours = theirs && URL.parse(`${theirs.protocol}//${host}`)
  return theirs !== null && ours !== null && theirs.host !== '' && theirs.host === ours.host
}
