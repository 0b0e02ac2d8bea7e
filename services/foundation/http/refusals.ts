import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { context } from '../telemetry/spans.ts'
import { type Answer, headersOf, problemAnswer, writeAnswer } from './answer.ts'
import { HTTP_PROBLEMS, type HttpProblemCode } from './problem-kinds.ts'
import { HttpProblem } from './problems.ts'
import { refusedWith } from './refused-connections.ts'
import { bareIds } from './telemetry.ts'

/** Told of what is refused, when the answer is written. */
export type OnRefused = (code: HttpProblemCode) => void

/** How long a refused connection is still read from. */
const LINGER_MS = 500
/** Every so many milliseconds this share of those that took too long is refused: thousands within some two seconds. */
const PACE_MS = 5
const PACE_SHARE = 1 / 200
const PACE_MIN = 10

const PARSER_PROBLEMS: Readonly<Record<string, [HttpProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The headers exceed 16 KiB.'],
}

/** Answers what could not be parsed, or did not arrive in time: the listener of `clientError`. */
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
  const [code, detail] = PARSER_PROBLEMS[error.code ?? ''] ?? ['bad_request', 'The request could not be parsed.']
  refusedWith.set(socket, code)
  writeProblem(socket, code, detail)
  onRefused(code)
}

/** What did not arrive in time, from now on must not: a rest that comes after the 408 would make a request of it, which nobody would hear of. */
export function stopParsing(socket: Duplex): void {
  // Node's parser reads past the stream; it lets go of a socket whose data somebody else wants.
  socket.on('data', () => undefined)
  socket.removeAllListeners('data')
  socket.resume()
}

/** Connections that took too long. Thousands may come due together: they are refused at a pace, so that others get most of the time. */
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
 * For a connection that has no response object: the parser gave up before there was one. What the peer is still sending is
 * read and dropped for a moment: closing over unread bytes would reset the connection before the peer has read the answer.
 */
export function writeProblem(socket: Duplex, code: HttpProblemCode, detail: string, asked: IncomingHttpHeaders = {}): void {
  const answer = refusal(code, detail, asked)
  const lines = Object.entries(headersOf(answer)).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\n${lines.join('')}\r\n${answer.body}`)
  // On CONNECT, Node takes its own listener away: without this one a peer that resets would end the process.
  socket.on('error', () => socket.destroy())
  socket.resume()
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

/** For a request that was parsed, and that no handler is to see. */
export function refuseRequest(request: IncomingMessage, response: ServerResponse, code: HttpProblemCode, detail: string): void {
  writeAnswer(response, refusal(code, detail, request.headers))
}

function refusal(code: HttpProblemCode, detail: string, asked: IncomingHttpHeaders): Answer {
  const { requestId, active } = bareIds(asked)
  const headers = { 'X-Request-ID': requestId, ...(code === 'method_not_allowed' && { Allow: '' }), Connection: 'close' }
  return context.with(active, () => problemAnswer(new HttpProblem(code, detail, { headers }), HTTP_PROBLEMS[code]))
}
