import { excerpt, HttpProblem } from '#foundation/http/problems.ts'
import { IdempotencyKeyReusedError, OverloadedError } from '../domain/accepting/accept-errors.ts'
import { InvalidIdempotencyKeyError } from '../domain/accepting/idempotency-key.ts'
import { AgentConflictError } from '../domain/agents/agent-conflict.ts'
import { InvalidBodyError } from '../domain/json-body.ts'
import { LeaseLostError, NotWantedError, ObjectsMissingError } from '../domain/leasing/lease-errors.ts'
import { TooManyOperationsError } from '../domain/steering/operation.ts'
import { StorageUnavailableError, ValueRefusedError } from '../domain/storage-errors.ts'
import { WorkspaceConflictError } from '../domain/workspaces/workspace-conflict.ts'

export function overloaded(retryAfterSeconds: number): HttpProblem {
  return new HttpProblem(
    'overloaded',
    'This request stored nothing. Send it again a little later, with the same Idempotency-Key if it has one.',
    {
      headers: { 'Retry-After': String(retryAfterSeconds) },
    },
  )
}

/**
 * Turns an error of another room into a problem; undefined for a bug. No other code decides this.
 * @param isRead whether the request only reads
 */
export function toProblem(error: unknown, isRead: boolean): HttpProblem | undefined {
  if (error instanceof InvalidBodyError) {
    const { code, pointer, message } = error
    return new HttpProblem(code, message, {
      cause: error,
      ...(pointer !== undefined && { errors: [{ pointer: excerpt(pointer), code, detail: message }] }),
    })
  }
  if (error instanceof InvalidIdempotencyKeyError || error instanceof IdempotencyKeyReusedError) {
    return new HttpProblem(error.code, error.message, { cause: error })
  }
  if (error instanceof WorkspaceConflictError || error instanceof AgentConflictError || error instanceof TooManyOperationsError)
    return new HttpProblem(error.code, error.message, { cause: error })
  if (error instanceof LeaseLostError || error instanceof NotWantedError || error instanceof ObjectsMissingError)
    return new HttpProblem(error.code, error.message, { cause: error })
  if (error instanceof ValueRefusedError)
    return new HttpProblem(error.code, 'The database refuses a value of this request.', { cause: error })
  if (error instanceof OverloadedError) return overloaded(1)
  if (error instanceof StorageUnavailableError)
    return new HttpProblem(error.code, isRead ? READ_AGAIN : SEND_AGAIN, { headers: { 'Retry-After': '1' }, cause: error })
  return undefined
}

const READ_AGAIN = 'Try again a little later.'
const SEND_AGAIN = 'The request may or may not have taken effect. Send it again, with the same Idempotency-Key if it has one.'
