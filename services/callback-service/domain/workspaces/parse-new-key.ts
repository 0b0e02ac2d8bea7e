import { InvalidBodyError } from '../json-body.ts'
import type { NewKey } from './access-key.ts'
import { KEY_ROLES, type KeyRole } from './caller.ts'
import { line, orNull, type ReadMember, readMembers, readObject, required, string } from './json-members.ts'

export const MAX_KEY_NAME = 100

/** The time of the request, and how to read a time: undefined if the text is not one. */
interface Clock {
  readonly now: Date
  readonly readDateTime: (text: string) => Date | undefined
}

/** Reads the body of a request that makes a key. @throws {InvalidBodyError} */
export function parseNewKey(body: Uint8Array, clock: Clock): NewKey {
  const { role, name, expires_at } = readMembers<{ role: KeyRole; name: string; expires_at: Date | null }>(readObject(body), {
    role: keyRole,
    name: orNull(line(MAX_KEY_NAME), ''),
    expires_at: orNull((value, pointer) => expiry(value, pointer, clock), null),
  })
  return { role: required(role, 'role'), name: name ?? '', expiresAt: expires_at ?? null }
}

/** Reads the role of a key. @throws {InvalidBodyError} */
export const keyRole: ReadMember<KeyRole> = (value, pointer) => {
  const text = string(value, pointer)
  const role = KEY_ROLES.find(candidate => candidate === text)
  if (role) return role
  throw new InvalidBodyError('invalid_value', `The role must be one of ${KEY_ROLES.join(', ')}.`, pointer)
}

function expiry(value: unknown, pointer: string, { now, readDateTime }: Clock): Date {
  const date = readDateTime(string(value, pointer))
  if (!date) throw new InvalidBodyError('invalid_value', 'The value must be an RFC 3339 time with an offset.', pointer)
  if (date <= now) throw new InvalidBodyError('out_of_range', 'The time must be in the future.', pointer)
  return date
}
