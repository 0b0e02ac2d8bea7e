import type { ObjectId } from '#fetching/object-id.ts'
import { InvalidBodyError } from '../json-body.ts'
import { REASON } from '../steering/parse-operation.ts'
import { boolean, integer, list, object, oneOf, type ReadMember, readMembers, required, string } from '../workspaces/json-members.ts'
import type { LeaseChange, LeaseEnding, NamedObject } from './lease-verdict.ts'
import { objectId, readObjectWithIds } from './parse-lease-body.ts'

export const MAX_EXTEND_SECONDS = 300
export const MAX_RETRY_AFTER_SECONDS = 86_400

interface Members {
  readonly extend_seconds: number
  readonly state: (typeof STATES)[number]
  readonly unstored: readonly NamedObject[]
  readonly charged: boolean
  readonly retry_after_seconds: number
  readonly reason: string
}

const STATES = ['pending', 'completed', 'failed'] as const
const OUTCOMES = ['not_found', 'failed', 'pending'] as const

/** The members that go with each state. */
const MEMBERS_OF: Readonly<Record<(typeof STATES)[number], readonly string[]>> = {
  pending: ['state', 'unstored', 'charged', 'retry_after_seconds'],
  completed: ['state', 'unstored'],
  failed: ['state', 'unstored', 'reason'],
}

/** Reads what an agent wants to happen to its lease. @throws {InvalidBodyError} */
export function parseLeaseChange(body: Uint8Array): LeaseChange {
  const members = readMembers<Members>(readObjectWithIds(body), {
    extend_seconds: integer(1, MAX_EXTEND_SECONDS),
    state: oneOf(STATES),
    // The size of the body bounds it.
    unstored: list(Number.MAX_SAFE_INTEGER, named),
    charged: boolean,
    retry_after_seconds: integer(0, MAX_RETRY_AFTER_SECONDS),
    reason,
  })
  if (members.extend_seconds === undefined) return endingOf(members)
  const other = Object.keys(members).find(name => name !== 'extend_seconds')
  if (other !== undefined) throw new InvalidBodyError('unknown_member', 'extend_seconds stands alone.', `/${other}`)
  return { kind: 'extend', seconds: members.extend_seconds }
}

function endingOf(members: Partial<Members>): LeaseEnding {
  if (members.state === undefined) throw new InvalidBodyError('missing_member', 'The body needs extend_seconds or state.', '/state')
  const { state } = members
  const other = Object.keys(members).find(name => !MEMBERS_OF[state].includes(name))
  if (other !== undefined) throw new InvalidBodyError('unknown_member', `The state ${state} has no member ${other}.`, `/${other}`)
  const unstored = distinct(members.unstored ?? [])
  if (state === 'pending') {
    return { kind: 'give_back', unstored, isCharged: members.charged ?? false, retryAfterMs: 1000 * (members.retry_after_seconds ?? 0) }
  }
  const open = members.unstored?.findIndex(({ outcome }) => outcome === 'pending')
  if (open !== undefined && open >= 0)
    throw new InvalidBodyError('invalid_value', `With the state ${state}, no object is pending.`, `/unstored/${open}/outcome`)
  return state === 'completed' ? { kind: 'complete', unstored } : { kind: 'fail', unstored, reason: required(members.reason, 'reason') }
}

const reason: ReadMember<string> = (value, pointer) => {
  const text = string(value, pointer)
  if (REASON.test(text)) return text
  throw new InvalidBodyError('invalid_value', 'A reason has 1 to 64 lower-case letters, digits and underscores, such as http_500.', pointer)
}

const named: ReadMember<NamedObject> = (value, pointer) => {
  const read = readMembers<{ id: ObjectId; outcome: (typeof OUTCOMES)[number]; reason: string }>(
    object(value, pointer),
    { id: objectId, outcome: oneOf(OUTCOMES), reason },
    pointer,
  )
  const id = required(read.id, 'id', pointer)
  const outcome = required(read.outcome, 'outcome', pointer)
  if (outcome === 'not_found') {
    if (read.reason !== undefined) throw new InvalidBodyError('unknown_member', 'The outcome not_found has no reason.', `${pointer}/reason`)
    return { id, outcome }
  }
  return { id, outcome, reason: required(read.reason, 'reason', pointer) }
}

function distinct(all: readonly NamedObject[]): readonly NamedObject[] {
  const byId = new Map<ObjectId, NamedObject>()
  for (const [i, each] of all.entries()) {
    const other = byId.get(each.id)
    if (other && (other.outcome !== each.outcome || other.reason !== each.reason)) {
      throw new InvalidBodyError('invalid_value', 'An object has two different outcomes.', `/unstored/${i}`)
    }
    byId.set(each.id, each)
  }
  return [...byId.values()]
}
