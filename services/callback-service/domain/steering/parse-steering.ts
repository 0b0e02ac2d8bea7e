import { InvalidBodyError } from '../json-body.ts'
import { boolean, integer, type ReadMember, readMembers, readObject, string } from '../workspaces/json-members.ts'
import { MAX_PRIORITY, MIN_PRIORITY } from './change.ts'
import type { CallbackChanges } from './steered.ts'

/** Which objects one more round fetches. */
export type Objects = 'all' | 'missing'

/** Reads the body of a request that changes a callback: `activated`, `priority` or both. @throws {InvalidBodyError} */
export function parseCallbackChanges(body: Uint8Array): CallbackChanges {
  const changes = readMembers<Required<CallbackChanges>>(readObject(body), {
    activated: boolean,
    priority: integer(MIN_PRIORITY, MAX_PRIORITY),
  })
  if (Object.keys(changes).length === 0) throw new InvalidBodyError('missing_member', 'The body needs activated, priority or both.', '')
  return changes
}

/** Reads the body of a request that sends a callback one more round. @throws {InvalidBodyError} */
export function parseRetry(body: Uint8Array): Objects {
  return readMembers<{ objects: Objects }>(readObject(body), { objects }).objects ?? 'missing'
}

const objects: ReadMember<Objects> = (value, pointer) => {
  const text = string(value, pointer)
  if (text !== 'all' && text !== 'missing') throw new InvalidBodyError('invalid_value', 'The value must be all or missing.', pointer)
  return text
}
