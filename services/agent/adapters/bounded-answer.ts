import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { AnswerbackUnavailableError } from '../domain/answerback-errors.ts'

/** Maximum size of an answer. 10,000 ids of 20 characters and a hundred leases with full trace headers are below it. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

type BoundedRequest = Dispatcher.RequestOptions & { readonly signal: AbortSignal }

/**
 * Sends one request and reads the answer within bounds. It ends at once when the signal is aborted.
 * @throws {AnswerbackUnavailableError} there is no whole answer, or it is too large
 */
export async function readAnswer(dispatcher: Dispatcher, request: BoundedRequest): Promise<Answer> {
  const { signal } = request
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    // undici itself looks at the signal only after it has a connection. Through a proxy that says nothing, this takes minutes.
    const { statusCode, headers, body } = await Promise.race([dispatcher.request(request), aborted.promise])
    const pieces: Buffer[] = []
    let size = 0
    for await (const piece of body as AsyncIterable<Buffer>) {
      size += piece.length
      // Leaving the loop destroys the body and its connection.
      if (size > MAX_ANSWER_BYTES) throw new AnswerbackUnavailableError('answer_too_large')
      pieces.push(piece)
    }
    return { status: statusCode, headers, text: Buffer.concat(pieces).toString() }
  } catch (error) {
    if (error instanceof AnswerbackUnavailableError) throw error
    const isLate = error instanceof Error && error.name === 'TimeoutError'
    throw new AnswerbackUnavailableError(isLate ? 'timeout' : 'connection', { cause: error })
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
