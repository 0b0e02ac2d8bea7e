import { excerpt, HTTP_PROBLEMS, HttpProblem, type ProblemKind } from '#foundation/http/problems.ts'
import { IdempotencyKeyReusedError, OverloadedError } from '../domain/accepting/accept-errors.ts'
import { InvalidIdempotencyKeyError } from '../domain/accepting/idempotency-key.ts'
import { InvalidCallbackError } from '../domain/accepting/parse-callback.ts'
import { StorageUnavailableError, ValueRefusedError } from '../domain/storage-errors.ts'

/** Every problem this service can answer, by its stable code. docs/http-api.md lists the same. */
export const PROBLEMS = {
  ...HTTP_PROBLEMS,
  invalid_encoding: { status: 400, title: 'The body is not UTF-8' },
  duplicate_member: { status: 400, title: 'A member is named twice' },
  too_deep: { status: 400, title: 'The body is nested too deeply' },
  invalid_idempotency_key: { status: 400, title: 'The idempotency key is not valid' },
  invalid_id: { status: 400, title: 'The id is not valid' },
  invalid_signature: { status: 401, title: 'The request is not signed by a sender we know' },
  callback_not_found: { status: 404, title: 'There is no such callback' },
  object_not_found: { status: 404, title: 'There is no such object' },
  not_an_object: { status: 422, title: 'The body is not an object' },
  missing_member: { status: 422, title: 'A member is missing' },
  wrong_type: { status: 422, title: 'A value has the wrong type' },
  not_an_integer: { status: 422, title: 'An id is not an integer' },
  out_of_range: { status: 422, title: 'An id is out of range' },
  too_many_ids: { status: 422, title: 'There are too many ids' },
  idempotency_key_reused: { status: 422, title: 'The idempotency key was used for another callback' },
  value_refused: { status: 422, title: 'A value cannot be stored' },
  too_many_reads: { status: 503, title: 'Too many reads are under way' },
  overloaded: { status: 503, title: 'Too many callbacks are waiting' },
  storage_unavailable: { status: 503, title: 'The storage is not available now' },
} as const satisfies Readonly<Record<string, ProblemKind>>

export function overloaded(retryAfterSeconds: number): HttpProblem {
  return new HttpProblem(
    'overloaded',
    'This request stored nothing. Send it again a little later, with the same Idempotency-Key if it has one.',
    {
      headers: { 'Retry-After': String(retryAfterSeconds) },
    },
  )
}

/** What an error of the other rooms means to a caller; undefined for a bug. The only place that decides it. */
export function toProblem(error: unknown): HttpProblem | undefined {
  if (error instanceof InvalidCallbackError) {
    const { code, pointer, message } = error
    return new HttpProblem(code, message, {
      cause: error,
      ...(pointer !== undefined && { errors: [{ pointer: excerpt(pointer), code, detail: message }] }),
    })
  }
  if (error instanceof InvalidIdempotencyKeyError || error instanceof IdempotencyKeyReusedError) {
    return new HttpProblem(error.code, error.message, { cause: error })
  }
  if (error instanceof ValueRefusedError)
    return new HttpProblem(error.code, 'The database refuses a value of this request.', { cause: error })
  if (error instanceof OverloadedError) return overloaded(1)
  if (error instanceof StorageUnavailableError) return unavailable(error, 'Ask again a little later.')
  return undefined
}

/** The same for a callback that was to be stored. */
export function toAcceptProblem(error: unknown): HttpProblem | undefined {
  if (error instanceof StorageUnavailableError)
    return unavailable(error, 'It may or may not have been stored. Send it again, with the same Idempotency-Key if it has one.')
  return toProblem(error)
}

function unavailable(error: StorageUnavailableError, detail: string): HttpProblem {
  return new HttpProblem(error.code, detail, { headers: { 'Retry-After': '1' }, cause: error })
}
