import type { IncomingMessage } from 'node:http'
import { HttpProblem } from './http-errors.ts'

const LINGER_MS = 500
const LINGER_BYTES = 1024 * 1024

/**
 * Reads a request body whole.
 * @param maxBytes what is beyond is not kept: up to 1 MiB more, for half a second, is read and dropped, so that the sender gets to
 *   read the answer instead of a reset
 * @throws {HttpProblem} body_too_large, unsupported_encoding (nothing is inflated), bad_request (the sender went away)
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return Promise.reject(
      new HttpProblem('unsupported_encoding', 'Send the body without Content-Encoding.', { headers: { 'Accept-Encoding': 'identity' } }),
    )
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let linger: NodeJS.Timeout | undefined
    const onData = (chunk: Buffer): void => {
      size += chunk.length
      if (size <= maxBytes) chunks.push(chunk)
      else if (size > maxBytes + LINGER_BYTES) settle()
      else linger ??= setTimeout(settle, LINGER_MS)
    }
    const onGone = (): void => settle(new HttpProblem('bad_request', 'The request ended before its body did.'))
    const settle = (error?: HttpProblem): void => {
      clearTimeout(linger)
      request.off('data', onData).off('end', settle).off('error', onGone).off('close', onGone)
      if (error) reject(error)
      else if (size > maxBytes) reject(tooLarge(maxBytes))
      else resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size))
    }
    request.on('data', onData).on('end', settle).on('error', onGone).on('close', onGone)
  })
}

function tooLarge(maxBytes: number): HttpProblem {
  return new HttpProblem('body_too_large', `A body may have at most ${maxBytes} bytes.`, { headers: { Connection: 'close' } })
}
