import { AGENT_ID } from '../agents/agent.ts'
import { InvalidBodyError } from '../json-body.ts'
import type { NewKey } from './access-key.ts'
import { KEY_ROLES, type KeyRole } from './caller.ts'
import { line, oneOf, orNull, type ReadMember, readMembers, readObject, required, string } from './json-members.ts'

export const MAX_KEY_NAME = 100

/** The time of the request, and how to read a time: undefined if the text is not one. */
interface Clock {
  readonly now: Date
  readonly readDateTime: (text: string) => Date | undefined
}

/** Reads the body of a request that makes a key. @throws {InvalidBodyError} */
export function parseNewKey(body: Uint8Array, clock: Clock): NewKey {
  const members = readMembers<{ role: KeyRole; agent: string | null; name: string; expires_at: Date | null }>(readObject(body), {
    role: oneOf(KEY_ROLES),
    agent: orNull(agentId, null),
    name: orNull(line(MAX_KEY_NAME), ''),
    expires_at: orNull((value, pointer) => expiry(value, pointer, clock), null),
  })
  const { agent = null, name = '', expires_at: expiresAt = null } = members
  const role = required(members.role, 'role')
  if (role === 'agent') required(agent ?? undefined, 'agent')
  else if (agent !== null) throw new InvalidBodyError('invalid_value', 'Only a key with the role agent belongs to an agent.', '/agent')
  return { role, name, expiresAt, agentId: agent }
}

const agentId: ReadMember<string> = (value, pointer) => {
  const id = string(value, pointer)
  if (AGENT_ID.test(id)) return id.toLowerCase()
  throw new InvalidBodyError('invalid_value', 'The id of an agent is a UUID.', pointer)
}

function expiry(value: unknown, pointer: string, { now, readDateTime }: Clock): Date {
  const date = readDateTime(string(value, pointer))
  if (!date) throw new InvalidBodyError('invalid_value', 'The value must be an RFC 3339 time with an offset.', pointer)
  if (date <= now) throw new InvalidBodyError('out_of_range', 'The time must be in the future.', pointer)
  return date
}
