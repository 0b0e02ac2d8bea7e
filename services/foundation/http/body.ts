import type { IncomingMessage } from 'node:http'
import { HttpProblem } from './problems.ts'
import { stopParsing } from './refusals.ts'

const LINGER_MS = 500
const LINGER_BYTES = 1024 * 1024
/** Number of chunks that may be of any size. Each chunk costs as much work as a thousand bytes. */
const FREE_CHUNKS = 1024
/** Minimum average size of the chunks beyond `FREE_CHUNKS`, in bytes. */
const MIN_CHUNK_BYTES = 16

/**
 * Reads the whole body of a request. It uses at most twice the memory of the bytes received, however small the chunks are.
 * @param maxBytes size of the largest body. Of a larger body, it drops up to 1 MiB for half a second, so that the sender sees the answer
 *   and not a reset
 * @throws {HttpProblem} body_too_large; unsupported_encoding (nothing is decompressed); bad_request (the sender went away, or its chunks
 *   are too small)
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return Promise.reject(
      new HttpProblem('unsupported_encoding', 'Send the body without Content-Encoding.', { headers: { 'Accept-Encoding': 'identity' } }),
    )
  }
  return new Promise((resolve, reject) => {
    const body = new GrowingBuffer(maxBytes)
    let chunks = 0
    let linger: NodeJS.Timeout | undefined
    const onData = (chunk: Buffer): void => {
      chunks += 1
      body.append(chunk)
      if (chunks > FREE_CHUNKS + body.size / MIN_CHUNK_BYTES) settle(crumbs(request))
      else if (body.size > maxBytes + LINGER_BYTES) settle()
      else if (body.size > maxBytes) linger ??= setTimeout(settle, LINGER_MS)
    }
    const onGone = (): void => settle(new HttpProblem('bad_request', 'The request ended before its body did.'))
    const settle = (error?: HttpProblem): void => {
      clearTimeout(linger)
      request.off('data', onData).off('end', settle).off('error', onGone).off('close', onGone)
      if (error) reject(error)
      else if (body.size > maxBytes) reject(tooLarge(maxBytes))
      else resolve(body.bytes)
    }
    request.on('data', onData).on('end', settle).on('error', onGone).on('close', onGone)
  })
}

const NOTHING = Buffer.alloc(0)

/** One buffer for all appended bytes, at most twice as large as those. Beyond `maxBytes` it only counts the bytes. */
class GrowingBuffer {
  readonly #maxBytes: number
  #buffer: Buffer = NOTHING
  #size = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Number of bytes appended, including those not kept. */
  get size(): number {
    return this.#size
  }

  get bytes(): Buffer {
    return this.#buffer.length === this.#size ? this.#buffer : this.#buffer.subarray(0, this.#size)
  }

  append(chunk: Buffer): void {
    const size = this.#size + chunk.length
    if (size <= this.#maxBytes) this.#keep(chunk, size)
    this.#size = size
  }

  #keep(chunk: Buffer, size: number): void {
    if (this.#size === 0) {
      // Most bodies come in one chunk, which is not copied.
      this.#buffer = chunk
      return
    }
    if (size > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#maxBytes, 2 * size))
      this.#buffer.copy(larger, 0, 0, this.#size)
      this.#buffer = larger
    }
    chunk.copy(this.#buffer, this.#size)
  }
}

function tooLarge(maxBytes: number): HttpProblem {
  return new HttpProblem('body_too_large', `A body may have at most ${maxBytes} bytes.`, { headers: { Connection: 'close' } })
}

/** Stops parsing the request, because tiny chunks cost too much work, and makes the problem for its answer. */
function crumbs(request: IncomingMessage): HttpProblem {
  stopParsing(request.socket)
  return new HttpProblem('bad_request', 'The chunks of the body are too small.', { headers: { Connection: 'close' } })
}
