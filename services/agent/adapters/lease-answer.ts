import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { isInt64 } from '#fetching/object-id.ts'
import type { Lease } from '../domain/lease.ts'

/** A path of the callback service, perhaps with the workspace. It cannot leave the host: the client puts the URL of the callback service before it. */
const Path = Type.String({ pattern: '^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+(\\?workspace_id=[A-Za-z0-9_-]{1,64})?$', maxLength: 512 })
/** Headers come from the sender. One that cannot be sent on is left out, so that no sender can stop an agent. */
const Header = Type.Optional(Type.Unknown())
const FIELD = /^[\t\x20-\x7e\x80-\xff]{0,16384}$/

/** Ten years, which is the most that `agents.leaseSeconds` may be. */
const MAX_LEASE_SECONDS = 3650 * 86_400

const LeaseAnswer = Type.Object({
  location: Path,
  objects: Path,
  object_ids: Type.Array(Type.Union([Type.Integer(), Type.BigInt()])),
  attempt: Type.Integer({ minimum: 1 }),
  expires_in_seconds: Type.Number({ exclusiveMinimum: 0, maximum: MAX_LEASE_SECONDS }),
  request_id: Header,
  traceparent: Header,
  tracestate: Header,
  baggage: Header,
})

const leaseList = Compile(Type.Object({ items: Type.Array(LeaseAnswer, { maxItems: 1000 }) }))
const leaseEnd = Compile(Type.Object({ state: Type.String({ pattern: '^[a-z_]{1,32}$' }) }))
const use = Compile(Type.Object({ kind: Type.Union([Type.Literal('Delivery'), Type.Literal('Lease')]) }))
const problem = Compile(Type.Object({ code: Type.String({ pattern: '^[a-z_]{1,64}$' }) }))

/** @returns undefined if the text is not a list of leases */
export function parseLeases(text: string): Lease[] | undefined {
  const answer = parseExactly(text)
  if (!leaseList.Check(answer)) return undefined
  const leases = answer.items.map(item => ({
    location: item.location,
    objects: item.objects,
    objectIds: [...new Set(item.object_ids.map(BigInt))],
    attempt: item.attempt,
    durationMs: item.expires_in_seconds * 1000,
    trace: { traceparent: headerOf(item.traceparent), tracestate: headerOf(item.tracestate), baggage: headerOf(item.baggage) },
    requestId: headerOf(item.request_id),
  }))
  return leases.every(({ objectIds }) => objectIds.every(isInt64)) ? leases : undefined
}

function headerOf(value: unknown): string | undefined {
  return typeof value === 'string' && FIELD.test(value) ? value : undefined
}

/** @returns the state that a callback got; undefined if the text does not say it */
export function parseState(text: string): string | undefined {
  const answer = parseExactly(text)
  return leaseEnd.Check(answer) ? answer.state : undefined
}

/** Whether the text is what the callback service answers to a delivery or an extension. A proxy may answer 200 with a page of its own. */
export function isUse(text: string): boolean {
  return use.Check(parseExactly(text))
}

/** @returns the code of a problem; undefined if the text is not a problem */
export function parseProblem(text: string): string | undefined {
  const answer = parseExactly(text)
  return problem.Check(answer) ? answer.code : undefined
}

/** `JSON.parse` that reads integers beyond 2^53 as bigints. @returns undefined if the text is not JSON */
function parseExactly(text: string): unknown {
  try {
    return /\d{16}/.test(text) ? parseWithSource(text, exactInteger) : JSON.parse(text)
  } catch {
    return undefined
  }
}

function exactInteger(_key: string, value: unknown, { source }: { source: string }): unknown {
  return typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d{1,19}$/.test(source) ? BigInt(source) : value
}

/** `JSON.parse` with source text (ECMAScript 2026), which TypeScript does not know yet. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { source: string }) => unknown,
) => unknown
