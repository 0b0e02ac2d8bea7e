import type { Request } from 'express'
import Type from 'typebox'
import { HttpProblem } from '#foundation/http/problems.ts'
import { queryParameter, readDateTime } from '#foundation/http/query.ts'
import { Time } from '../schemas.ts'

/** A span as the caller gave it. Undefined: the default. */
export interface AskedSpan {
  readonly from: Date | undefined
  readonly to: Date | undefined
}

const DEFAULT_MS = 3_600_000
const WANTED = 'an RFC 3339 time with an offset'

export const SPAN_PARAMETERS = {
  from: Type.Optional({ ...Time, description: 'Beginning of the span. Default: one hour before its end.' }),
  to: Type.Optional({ ...Time, description: 'End of the span, not part of it. Default: now, by the clock of the database.' }),
}

/** Reads `from` and `to`. @throws {HttpProblem} invalid_parameter */
export function readSpan(request: Request): AskedSpan {
  return { from: queryParameter(request, 'from', readDateTime, WANTED), to: queryParameter(request, 'to', readDateTime, WANTED) }
}

/**
 * Fills in what the caller left out.
 * @throws {HttpProblem} invalid_parameter: the span does not end after it begins, or is before 1970 or after 9998
 */
export function spanAt(nowMs: number, { from, to }: AskedSpan): { readonly fromMs: number; readonly toMs: number } {
  const toMs = to?.getTime() ?? nowMs
  const fromMs = from?.getTime() ?? toMs - DEFAULT_MS
  if (fromMs >= toMs)
    throw new HttpProblem('invalid_parameter', 'The query parameter "from" must be before "to", which is now if it is absent.')
  if (fromMs < 0 || toMs > LATEST_MS)
    throw new HttpProblem('invalid_parameter', 'The query parameters "from" and "to" must be from 1970 to 9998.')
  return { fromMs, toMs }
}

/** Whole intervals around it still have a year of four digits. */
const LATEST_MS = Date.UTC(9999, 0)
