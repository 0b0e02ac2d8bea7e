import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { HTTP_PROBLEMS, type HttpProblemCode, problemBody } from './http-errors.ts'

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
export function refuseUnparsable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (socket.writableEnded) return
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    stopParsing(socket)
    if (late.push(socket) === 1) setTimeout(refuseLate, PACE_MS).unref()
    return
  }
  const [code, detail] = PARSER_PROBLEMS[error.code ?? ''] ?? ['bad_request', 'The request could not be parsed.']
  writeProblem(socket, code, detail)
}

/** What did not arrive in time, from now on must not: a rest that comes after the 408 would make a request of it, which nobody would hear of. */
export function stopParsing(socket: Duplex): void {
  // Node's parser reads past the stream; it lets go of a socket whose data somebody else wants.
  socket.on('data', () => undefined)
  socket.removeAllListeners('data')
  socket.resume()
}

/** Connections that took too long. Thousands may come due together: they are refused at a pace, so that others get most of the time. */
const late: Duplex[] = []

function refuseLate(): void {
  for (const socket of late.splice(0, Math.max(PACE_MIN, late.length * PACE_SHARE))) {
    if (socket.writable) writeProblem(socket, 'request_timeout', 'The request was not complete within 10 seconds.')
    else socket.destroy()
  }
  if (late.length > 0) setTimeout(refuseLate, PACE_MS).unref()
}

/**
 * For a connection that has no response object: the parser gave up before there was one. What the peer is still sending is
 * read and dropped for a moment: closing over unread bytes would reset the connection before the peer has read the answer.
 */
export function writeProblem(socket: Duplex, code: HttpProblemCode, detail: string): void {
  const kind = HTTP_PROBLEMS[code]
  const body = problemBody(code, kind, detail)
  socket.end(
    `HTTP/1.1 ${kind.status} ${STATUS_CODES[kind.status]}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  // On CONNECT, Node takes its own listener away: without this one a peer that resets would end the process.
  socket.on('error', () => socket.destroy())
  socket.resume()
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}
