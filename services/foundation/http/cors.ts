import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { writeAnswer } from './answer.ts'

/** Headers of an answer that a page may read, in addition to those that CORS always allows. */
const EXPOSED = [
  ...['Location', 'Link', 'Retry-After', 'RateLimit', 'RateLimit-Policy', 'WWW-Authenticate'],
  ...['Idempotency-Replayed', 'Preference-Applied', 'X-Request-ID'],
].join(', ')
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE'
const HEADERS = [
  ...['Authorization', 'X-API-Key', 'X-Workspace', 'Content-Type', 'Idempotency-Key', 'Prefer', 'X-Request-ID'],
  ...['traceparent', 'tracestate', 'baggage', 'webhook-id', 'webhook-timestamp', 'webhook-signature'],
].join(', ')
/** Time for which a browser keeps the answer to a preflight. */
const MAX_AGE_SECONDS = '600'

/**
 * Lets pages of other origins use a port from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol). It comes before everything else,
 * so that a page can read refusals too. Bytes that are not HTTP, or headers that are too long, are refused without it.
 * @param origins allowed origins, separated by spaces, as a browser writes them: `https://app.example`. Empty: CORS is off
 */
export function cors(origins: string, listener: RequestListener): RequestListener {
  const allowed = new Set(origins.split(/\s+/).filter(Boolean))
  if (allowed.size === 0) return listener
  return (request, response) => {
    response.setHeader('Vary', 'Origin')
    const { origin } = request.headers
    const isAllowed = origin !== undefined && allowed.has(origin)
    if (isAllowed) allow(response, origin)
    if (isAllowed && isPreflight(request)) writeAnswer(response, { status: 204, headers: PREFLIGHT, body: '' })
    else listener(request, response)
  }
}

const PREFLIGHT = {
  'Access-Control-Allow-Methods': METHODS,
  'Access-Control-Allow-Headers': HEADERS,
  'Access-Control-Max-Age': MAX_AGE_SECONDS,
}

function allow(response: ServerResponse, origin: string): void {
  response.setHeader('Access-Control-Allow-Origin', origin)
  response.setHeader('Access-Control-Expose-Headers', EXPOSED)
}

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
}
