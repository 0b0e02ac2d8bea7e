import { FetchError } from '../fetched-object.ts'
import type { ObjectId } from '../object-id.ts'

/**
 * Reads `{id, online}`. The `id` must be that of the requested object.
 * @throws {FetchError} `invalid_answer`: the answer is not such an object
 */
export function parseOnline(body: string, id: ObjectId): boolean {
  const answer = parsed(() => JSON.parse(body) as { id?: unknown; online?: unknown } | null)
  if (typeof answer?.id !== 'number' || exactId(body, answer.id) !== id) throw garbage('the answer is about another object')
  if (typeof answer.online !== 'boolean') throw garbage('online is not a boolean')
  return answer.online
}

/** Reads the exact id of an answer. Beyond 2^53 a double cannot hold it, so the digits in the source text count. */
function exactId(body: string, id: number): bigint | undefined {
  if (Number.isSafeInteger(id)) return BigInt(id)
  const sources = new Map<unknown, string>()
  const answer = parsed(() =>
    parseWithSource(body, function (key, value, { source }) {
      if (key === 'id') sources.set(this, source)
      return value
    }),
  )
  // Nested objects of the answer may also have an `id`.
  const source = sources.get(answer) ?? ''
  return /^-?\d{1,19}$/.test(source) ? BigInt(source) : undefined
}

/** Turns the errors of a parser into garbage: it throws for invalid JSON, and for JSON that is nested too deep for its stack. */
function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw garbage('the answer cannot be parsed', { cause: error })
  }
}

/**
 * `JSON.parse` with source text (ECMAScript 2026, https://github.com/tc39/proposal-json-parse-with-source), which TypeScript does not know
 * yet.
 */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (this: unknown, key: string, value: unknown, context: { source: string }) => unknown,
) => unknown

/** Makes the error for an invalid answer. It is retryable and counts as trouble of the host. */
export function garbage(detail: string, options: ErrorOptions = {}): FetchError {
  return new FetchError('invalid_answer', { isRetryable: true, isHostTrouble: true }, { cause: new Error(detail, options) })
}
