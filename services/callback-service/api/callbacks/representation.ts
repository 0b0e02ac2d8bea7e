import Type from 'typebox'
import { CALLBACK_STATES, type CallbackView, isActivated, type ListedCallback } from '../../domain/callback.ts'
import { MAX_PRIORITY, MIN_PRIORITY } from '../../domain/steering/change.ts'
import { DEFAULT_WORKSPACE } from '../../domain/workspaces/workspace.ts'
import { EXAMPLE_ID, EXAMPLE_TIME, Int64, Time, Uuid } from '../schemas.ts'

const FACTS = {
  kind: Type.Literal('Callback'),
  id: Uuid,
  href: Type.String(),
  workspace: Type.String({ description: 'The name of its workspace.' }),
  state: Type.Enum([...CALLBACK_STATES]),
  activated: Type.Boolean({ description: 'False if somebody paused it: no worker claims it, and a running attempt is its last.' }),
  priority: Type.Integer({ minimum: MIN_PRIORITY, maximum: MAX_PRIORITY, description: 'A callback of higher priority is claimed first.' }),
  attempts: Type.Integer({ minimum: 0 }),
  object_count: Type.Integer({ minimum: 0 }),
  received_at: Time,
  due_at: Type.Optional(Type.String({ format: 'date-time', description: 'When its next attempt may start. Only while it is pending.' })),
  finished_at: Type.Optional(Time),
  request_id: Type.Optional(Type.String({ description: 'The X-Request-ID of the request that brought it.' })),
  trace_id: Type.Optional(Type.String({ description: 'The id of its trace.' })),
}

/** Schema of a callback in a list. */
export const ListedCallbackSchema = Type.Object(FACTS, { additionalProperties: false })

/** Schema of a single callback, with its objects. */
export const CallbackSchema = Type.Object(
  {
    ...FACTS,
    agent_labels: Type.Optional(
      Type.Array(Type.String(), { description: 'Labels that an agent needs for it. Absent: it has none of its own.' }),
    ),
    agent: Type.Optional(Type.String({ format: 'uuid', description: 'The agent that has leased it.' })),
    assigned_to: Type.Optional(Type.String({ format: 'uuid', description: 'The only agent that may lease it.' })),
    objects: Type.Array(
      Type.Object(
        {
          kind: Type.Literal('Object'),
          id: Int64,
          href: Type.String(),
          outcome: Type.Enum(['pending', 'stored', 'offline', 'not_found', 'failed', 'cancelled']),
          reason: Type.Optional(Type.String({ description: 'Why the object failed, or is still pending after an attempt.' })),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)

export const LISTED_EXAMPLE = {
  kind: 'Callback',
  id: EXAMPLE_ID,
  href: `/v1/callbacks/${EXAMPLE_ID}`,
  workspace: DEFAULT_WORKSPACE,
  state: 'completed',
  activated: true,
  priority: 0,
  attempts: 1,
  object_count: 1,
  received_at: EXAMPLE_TIME,
  finished_at: '2026-11-22T02:55:18.046Z',
  request_id: 'b98b7c10-1770-4632-a88b-2bc52c4c55ed',
  trace_id: '1517db913aeb54b216513a73cb9123ce',
}

export const CALLBACK_EXAMPLE = { ...LISTED_EXAMPLE, objects: [{ kind: 'Object', id: 7, href: '/v1/objects/7', outcome: 'stored' }] }

/** @param query what leads to the workspace of the callback (`workspaceQuery`) */
export function hrefOfCallback(id: string, query = ''): string {
  return `/v1/callbacks/${id}${query}`
}

export function listedText(callback: Omit<ListedCallback, 'position'>, query: string): string {
  return JSON.stringify(factsOf(callback, callback.objectCount, query))
}

/** Writes the ids by hand. JSON.stringify with exact ids takes ten times as long, and 1,000 ids would delay all requests. */
export function callbackText(callback: CallbackView, query: string): string {
  const unstored = new Map(callback.unstored?.map(object => [object.id, object]))
  const isUntouched = callback.unstored === undefined
  const open = callback.state === 'cancelled' ? 'cancelled' : 'pending'
  const objects = callback.objectIds.map(id => {
    const { outcome: stored, reason } = unstored.get(id) ?? { outcome: isUntouched ? 'pending' : 'stored', reason: undefined }
    const outcome = stored === 'pending' ? open : stored
    return `{"kind":"Object","id":${id},"href":"/v1/objects/${id}${query}",${JSON.stringify({ outcome, reason }).slice(1)}`
  })
  const facts = { ...factsOf(callback, callback.objectIds.length, query), ...agentFactsOf(callback) }
  return `${JSON.stringify(facts).slice(0, -1)},"objects":[${objects.join(',')}]}`
}

function agentFactsOf({ agentLabels, agentId, assignedTo }: CallbackView): object {
  return {
    ...(agentLabels && agentLabels.length > 0 && { agent_labels: agentLabels }),
    agent: agentId ?? undefined,
    assigned_to: assignedTo ?? undefined,
  }
}

function factsOf(callback: Omit<CallbackView, 'objectIds' | 'unstored'>, objectCount: number, query: string): object {
  return {
    kind: 'Callback',
    id: callback.id,
    href: hrefOfCallback(callback.id, query),
    workspace: callback.workspace,
    state: callback.state,
    activated: isActivated(callback),
    priority: callback.priority,
    attempts: callback.attempts,
    object_count: objectCount,
    received_at: callback.receivedAt,
    ...(callback.state === 'pending' && { due_at: callback.dueAt }),
    ...(callback.finishedAt && { finished_at: callback.finishedAt }),
    request_id: callback.requestId ?? undefined,
    trace_id: callback.traceparent?.split('-')[1],
  }
}
