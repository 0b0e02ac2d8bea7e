import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { context } from '../telemetry/spans.ts'
import { type Answer, headersOf, problemAnswer, writeAnswer } from './answer.ts'
import { HTTP_PROBLEMS, type HttpProblemCode } from './problem-kinds.ts'
import { HttpProblem } from './problems.ts'
import { refusedWith } from './refused-connections.ts'
import { bareIds } from './telemetry.ts'

/** Called with the code when the service sends a refusal. */
export type OnRefused = (code: HttpProblemCode) => void

/** Time for which the service still reads from a refused connection. */
const LINGER_MS = 500
/** Every PACE_MS the service refuses this share of the late connections, but at least PACE_MIN. Thousands take about two seconds. */
const PACE_MS = 5
const PACE_SHARE = 1 / 200
const PACE_MIN = 10

const PARSER_PROBLEMS: Readonly<Record<string, [HttpProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The headers exceed 16 KiB.'],
}

/** The listener of `clientError`: refuses a request that cannot be parsed or did not arrive in time. */
export function refuseUnparsable(error: NodeJS.ErrnoException, socket: Duplex, onRefused: OnRefused): void {
  if (socket.writableEnded) return
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    stopParsing(socket)
    refusedWith.set(socket, 'request_timeout')
    if (late.push({ socket, onRefused }) === 1) setTimeout(refuseLate, PACE_MS).unref()
    return
  }
  const [code, detail] = PARSER_PROBLEMS[error.code ?? ''] ?? ['bad_request', 'The service cannot parse the request.']
  refusedWith.set(socket, code)
  writeProblem(socket, code, detail)
  onRefused(code)
}

/** Stops parsing a late request. Otherwise, its rest could arrive after the 408 and complete a request that gets no answer. */
export function stopParsing(socket: Duplex): void {
  // Node's parser bypasses the stream. It gives the socket up when somebody else listens for data.
  socket.on('data', () => undefined)
  socket.removeAllListeners('data')
  socket.resume()
}

/** Connections whose requests are late. There may be thousands at once, so the service refuses them gradually and serves others meanwhile. */
const late: { readonly socket: Duplex; readonly onRefused: OnRefused }[] = []

function refuseLate(): void {
  for (const { socket, onRefused } of late.splice(0, Math.max(PACE_MIN, late.length * PACE_SHARE))) {
    if (!socket.writable) {
      socket.destroy()
      continue
    }
    writeProblem(socket, 'request_timeout', 'The headers must be complete within 8 seconds, the request within 9.')
    onRefused('request_timeout')
  }
  if (late.length > 0) setTimeout(refuseLate, PACE_MS).unref()
}

/**
 * Sends a problem on a connection that has no response object, because the parser failed first. For a moment it drops what the peer
 * still sends: closing with unread bytes would reset the connection before the peer has read the answer.
 */
export function writeProblem(socket: Duplex, code: HttpProblemCode, detail: string, asked: IncomingHttpHeaders = {}): void {
  const answer = refusal(code, detail, asked)
  const lines = Object.entries(headersOf(answer)).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\n${lines.join('')}\r\n${answer.body}`)
  // On CONNECT, Node removes its own listener. Without this one, a reset by the peer would end the process.
  socket.on('error', () => socket.destroy())
  socket.resume()
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

/** Refuses a parsed request that no handler should see. */
export function refuseRequest(request: IncomingMessage, response: ServerResponse, code: HttpProblemCode, detail: string): void {
  writeAnswer(response, refusal(code, detail, request.headers))
}

function refusal(code: HttpProblemCode, detail: string, asked: IncomingHttpHeaders): Answer {
  const { requestId, active } = bareIds(asked)
  const headers = { 'X-Request-ID': requestId, ...(code === 'method_not_allowed' && { Allow: '' }), Connection: 'close' }
  return context.with(active, () => problemAnswer(new HttpProblem(code, detail, { headers }), HTTP_PROBLEMS[code]))
}
