import { FetchError } from '../domain/fetched-object.ts'
import type { ObjectId } from '../domain/object-id.ts'

/**
 * Reads `{id, online}`, which must be about the object that was asked for.
 * @throws {FetchError} `invalid_answer`
 */
export function parseOnline(body: string, id: ObjectId): boolean {
  let answer: { id?: unknown; online?: unknown } | null
  try {
    answer = JSON.parse(body) as typeof answer
  } catch (error) {
    throw garbage('the answer is no JSON', { cause: error })
  }
  if (typeof answer?.id !== 'number' || exactId(body, answer.id) !== id) throw garbage('the answer is about another object')
  if (typeof answer.online !== 'boolean') throw garbage('online is no boolean')
  return answer.online
}

/** Beyond 2^53 a double does not say which id was meant: there the digits as they were written count. */
function exactId(body: string, id: number): bigint | undefined {
  if (Number.isSafeInteger(id)) return BigInt(id)
  let source = ''
  parseWithSource(body, (key, value, context) => {
    if (key === 'id' && typeof value === 'number') source = context.source
    return value
  })
  return /^-?\d{1,19}$/.test(source) ? BigInt(source) : undefined
}

/** ECMAScript 2026: https://github.com/tc39/proposal-json-parse-with-source; TypeScript does not know it yet. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { source: string }) => unknown,
) => unknown

/** The answer is none: worth another try, and trouble of the host. */
export function garbage(detail: string, options: ErrorOptions = {}): FetchError {
  return new FetchError('invalid_answer', { isRetryable: true, isHostTrouble: true }, { cause: new Error(detail, options) })
}
