import { FetchError } from '../../domain/fetching/fetched-object.ts'
import type { ObjectId } from '../../domain/object-id.ts'

/**
 * Reads `{id, online}`, which must be about the object that was asked for.
 * @throws {FetchError} `invalid_answer`
 */
export function parseOnline(body: string, id: ObjectId): boolean {
  const answer = parsed(() => JSON.parse(body) as { id?: unknown; online?: unknown } | null)
  if (typeof answer?.id !== 'number' || exactId(body, answer.id) !== id) throw garbage('the answer is about another object')
  if (typeof answer.online !== 'boolean') throw garbage('online is no boolean')
  return answer.online
}

/** Beyond 2^53 a double does not say which id was meant: there the digits as they were written count. */
function exactId(body: string, id: number): bigint | undefined {
  if (Number.isSafeInteger(id)) return BigInt(id)
  const sources = new Map<unknown, string>()
  const answer = parsed(() =>
    parseWithSource(body, function (key, value, { source }) {
      if (key === 'id') sources.set(this, source)
      return value
    }),
  )
  // Objects within the answer may have ids of their own.
  const source = sources.get(answer) ?? ''
  return /^-?\d{1,19}$/.test(source) ? BigInt(source) : undefined
}

/** No JSON throws, and what is nested too deep to be visited. */
function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw garbage('the answer cannot be parsed', { cause: error })
  }
}

/** ECMAScript 2026: https://github.com/tc39/proposal-json-parse-with-source; TypeScript does not know it yet. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (this: unknown, key: string, value: unknown, context: { source: string }) => unknown,
) => unknown

/** The answer is none: worth another try, and trouble of the host. */
export function garbage(detail: string, options: ErrorOptions = {}): FetchError {
  return new FetchError('invalid_answer', { isRetryable: true, isHostTrouble: true }, { cause: new Error(detail, options) })
}
