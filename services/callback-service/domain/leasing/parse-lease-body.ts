import type { ObjectId } from '#fetching/object-id.ts'
import { scanJson } from '../accepting/json-scan.ts'
import { exactInt64 } from '../exact-int64.ts'
import { decodeBody, InvalidBodyError, nameOf, parseJson, requireObject } from '../json-body.ts'
import type { ReadMember } from '../workspaces/json-members.ts'

/** A number as the body has it. JSON.parse would round ids beyond 2^53. */
class WrittenNumber {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }
}

/** Reads a body as an object, whose members `id` keep all their digits. @throws {InvalidBodyError} */
export function readObjectWithIds(body: Uint8Array): Readonly<Record<string, unknown>> {
  const text = decodeBody(body)
  // Reading with a reviver is recursive, so the depth is checked before.
  requireObject(parseJson(text), scanJson(text, ''))
  return JSON.parse(text, keepIds as (key: string, value: unknown) => unknown) as Readonly<Record<string, unknown>>
}

/** Reads the id of an object. The body must come from `readObjectWithIds`. */
export const objectId: ReadMember<ObjectId> = (value, pointer) => {
  if (!(value instanceof WrittenNumber)) throw new InvalidBodyError('wrong_type', `An id is ${nameOf(value)}, not a number.`, pointer)
  return exactInt64(value.source, pointer)
}

/** The third argument is not in TypeScript's library: https://github.com/tc39/proposal-json-parse-with-source */
function keepIds(key: string, value: unknown, context: { readonly source: string }): unknown {
  return key === 'id' && typeof value === 'number' ? new WrittenNumber(context.source) : value
}
