import type { RequestHandler } from 'express'
import { HttpProblem } from './http-errors.ts'

/** Refuses what HTTP/1.1 itself forbids and Node's parser lets through: no Host, or two (RFC 9112, 3.2). */
export const requireValidHost: RequestHandler = (request, _response, next) => {
  const hosts = request.headersDistinct['host']?.length ?? 0
  if (hosts > 1 || (hosts === 0 && request.httpVersion === '1.1')) {
    throw new HttpProblem('bad_request', 'A request needs exactly one Host header.', { headers: { Connection: 'close' } })
  }
  next()
}

/** Refuses a path whose percent-encoding means nothing, also where no route would have decoded it. */
export const requireDecodablePath: RequestHandler = (request, _response, next) => {
  if (request.path.includes('%')) decodeURIComponent(request.path)
  next()
}
