import { type ObjectId, parseObjectId } from '#fetching/object-id.ts'
import { CALLBACK_STATES, type CallbackState } from '../callback.ts'
import { InvalidBodyError } from '../json-body.ts'
import {
  boolean,
  integer,
  number,
  object,
  oneOf,
  orNull,
  type ReadMember,
  readMembers,
  readObject,
  required,
  string,
} from '../workspaces/json-members.ts'
import { CHANGEABLE, type Change, MAX_PRIORITY, MIN_PRIORITY } from './change.ts'
import { canChange, defaultState, type NewOperation, type OperationFilter } from './operation.ts'
import { MAX_RATE, MIN_RATE } from './operation-pace.ts'

/** Labels of many callbacks are those of their workspace, so no operation changes them. */
type OperationKind = Exclude<Change['kind'], 'label'>

export const CHANGE_KINDS = Object.keys(CHANGEABLE).filter(kind => kind !== 'label') as readonly OperationKind[]
export const RETRIED_OBJECTS = ['all', 'missing'] as const
export const REASON = /^[a-z0-9_]{1,64}$/

/** Priority of callbacks that an operation sends round again, unless it says another: new callbacks, which have 0, go first. */
export const RETRY_PRIORITY = -10

interface Members {
  readonly kind: OperationKind
  readonly filter: OperationFilter
  readonly dry_run: boolean
  readonly rate_per_second: number | null
  readonly priority: number | null
  readonly objects: 'all' | 'missing'
}

/** Reads a time: undefined if the text is not one. */
type ReadDateTime = (text: string) => Date | undefined

/** Reads the body of a request that starts an operation. @throws {InvalidBodyError} */
export function parseOperation(body: Uint8Array, readDateTime: ReadDateTime): NewOperation {
  const members = readMembers<Members>(readObject(body), {
    kind: oneOf(CHANGE_KINDS),
    filter: (value, pointer) => filterOf(value, pointer, readDateTime),
    dry_run: boolean,
    rate_per_second: orNull(number(MIN_RATE, MAX_RATE), null),
    priority: orNull(integer(MIN_PRIORITY, MAX_PRIORITY), null),
    objects: oneOf(RETRIED_OBJECTS),
  })
  const change = changeOf(required(members.kind, 'kind'), members)
  const filter = members.filter ?? EVERYTHING
  const state = filter.state ?? defaultState(change)
  if (state && !canChange(change, state)) {
    const detail = `The operation ${change.kind} changes callbacks that are ${CHANGEABLE[change.kind].join(', ')}.`
    throw new InvalidBodyError('invalid_value', detail, '/filter/state')
  }
  return { change, filter: { ...filter, state }, isDryRun: members.dry_run ?? false, ratePerSecond: members.rate_per_second }
}

const EVERYTHING: OperationFilter = {
  state: undefined,
  reason: undefined,
  objectId: undefined,
  receivedAfter: undefined,
  receivedBefore: undefined,
}

function changeOf(kind: OperationKind, { priority, objects }: Partial<Members>): Change {
  if (objects !== undefined && kind !== 'retry') throw notOf(kind, 'objects')
  if (kind === 'retry') {
    const own = priority === null ? {} : { priority: priority ?? RETRY_PRIORITY }
    return { kind, objects: objects ?? 'missing', ...own }
  }
  if (kind === 'prioritise') return { kind, priority: required(priority ?? undefined, 'priority') }
  if (priority !== undefined) throw notOf(kind, 'priority')
  return { kind }
}

function notOf(kind: OperationKind, member: string): InvalidBodyError {
  return new InvalidBodyError('unknown_member', `The operation ${kind} has no member ${member}.`, `/${member}`)
}

function filterOf(value: unknown, pointer: string, readDateTime: ReadDateTime): OperationFilter {
  const members = readMembers<{ state: CallbackState; reason: string; object_id: ObjectId; received_after: Date; received_before: Date }>(
    object(value, pointer),
    {
      state: oneOf(CALLBACK_STATES),
      reason,
      object_id: objectId,
      received_after: (text, at) => time(text, at, readDateTime),
      received_before: (text, at) => time(text, at, readDateTime),
    },
    pointer,
  )
  const { state, reason: why, object_id, received_after: receivedAfter, received_before: receivedBefore } = members
  if (receivedAfter && receivedBefore && receivedAfter > receivedBefore) {
    throw new InvalidBodyError('invalid_value', 'received_after must not be later than received_before.', `${pointer}/received_after`)
  }
  return { state, reason: why, objectId: object_id, receivedAfter, receivedBefore }
}

const reason: ReadMember<string> = (value, pointer) => {
  const text = string(value, pointer)
  if (REASON.test(text)) return text
  throw new InvalidBodyError('invalid_value', 'The value must be the reason of an object, such as http_500.', pointer)
}

/** A number, or a string for ids beyond 2^53, which most JSON writers round. */
const objectId: ReadMember<ObjectId> = (value, pointer) => {
  if (typeof value === 'number') {
    const read = integer(-Number.MAX_VALUE, Number.MAX_VALUE)(value, pointer)
    if (Number.isSafeInteger(read)) return BigInt(read)
    throw new InvalidBodyError('out_of_range', 'Write an id beyond 2^53 as a string.', pointer)
  }
  const id = parseObjectId(string(value, pointer))
  if (id !== undefined) return id
  throw new InvalidBodyError('invalid_value', 'The value must be the id of an object.', pointer)
}

function time(value: unknown, pointer: string, readDateTime: ReadDateTime): Date {
  const date = readDateTime(string(value, pointer))
  if (date) return date
  throw new InvalidBodyError('invalid_value', 'The value must be an RFC 3339 time with an offset.', pointer)
}
