import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { CallbackKey } from '../../domain/steering/steered.ts'
import { type CallbackPast, type TimelineEvent, timelineOf } from '../../domain/steering/timeline.ts'
import { callerOf } from '../gates/caller-of.ts'
import { CallbackReference, EXAMPLE_ID, EXAMPLE_TIME, Time, Uuid } from '../schemas.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { callbackKeyOf, callbackNotFound, KEY_PROBLEMS } from './callback-key.ts'
import { hrefOfCallback } from './representation.ts'

/** Reads what happened to a callback. @returns undefined if there is no such callback */
export type ReadTimeline = (key: CallbackKey) => Promise<CallbackPast | undefined>

const WorkerSchema = Type.Object(
  { number: Type.Integer(), host: Type.Optional(Type.String()), pid: Type.Optional(Type.Integer()) },
  { additionalProperties: false, description: 'The worker that had it. Its host and process, while the database knows them.' },
)

/** Events gain members in later releases. */
const EventSchema = Type.Object({
  event: Type.String({
    description:
      'accepted, spooled, drained, claimed, attempt_ended, given_back, taken_over, lapsed, taken_away, paused, cancelled and others.',
  }),
  at: Time,
  worker: Type.Optional(WorkerSchema),
  agent: Type.Optional(Type.String({ description: 'The name of the agent that had it, or that it was assigned to.' })),
  attempt: Type.Optional(Type.Integer()),
  state: Type.Optional(Type.String({ description: 'The state that it got.' })),
  counts: Type.Optional(
    Type.Record(Type.String(), Type.Integer(), {
      description: 'The objects of the attempt by their result, with its reason if it has one.',
    }),
  ),
  by: Type.Optional(Type.String({ description: 'Who did it: `api`, `flush`, a worker, or the id of an operation.' })),
})

const EXAMPLE = {
  kind: 'Timeline',
  id: EXAMPLE_ID,
  href: `/v1/callbacks/${EXAMPLE_ID}/timeline`,
  callback: { kind: 'Callback', id: EXAMPLE_ID, href: `/v1/callbacks/${EXAMPLE_ID}` },
  events: [
    { event: 'accepted', at: EXAMPLE_TIME },
    { event: 'claimed', at: '2026-11-22T02:55:15.741Z', attempt: 1, worker: { number: 3, host: 'replica-1', pid: 4711 } },
    {
      event: 'attempt_ended',
      at: '2026-11-22T02:55:18.046Z',
      attempt: 1,
      counts: { stored: 97, not_found: 3 },
      state: 'completed',
      worker: { number: 3, host: 'replica-1', pid: 4711 },
    },
  ],
}

/** `GET /v1/callbacks/:id/timeline`: shows what happened to a callback. */
export function getTimeline(read: ReadTimeline): Route {
  return route({
    method: 'GET',
    path: '/v1/callbacks/:id/timeline',
    operationId: 'getTimeline',
    summary: 'Shows what happened to a callback, first to last',
    access: 'follow',
    limits: 'reads',
    params: Type.Object({ id: Uuid }),
    query: Type.Object({}),
    answers: {
      200: {
        description: 'The timeline of the callback.',
        schema: Type.Object(
          { kind: Type.Literal('Timeline'), id: Uuid, href: Type.String(), callback: CallbackReference, events: Type.Array(EventSchema) },
          { additionalProperties: false },
        ),
        example: EXAMPLE,
      },
    },
    problems: KEY_PROBLEMS,
    parse: request => ({ key: callbackKeyOf(request), query: workspaceQuery(callerOf(request)) }),
    async execute({ key, query }) {
      const past = await read(key)
      if (!past) throw callbackNotFound()
      const { id } = past
      const body = {
        kind: 'Timeline',
        id,
        href: `/v1/callbacks/${id}/timeline${query}`,
        callback: { kind: 'Callback', id, href: hrefOfCallback(id, query) },
        events: timelineOf(past).map(written),
      }
      return jsonAnswer(200, JSON.stringify(body))
    },
  })
}

function written({ event, at, ...details }: TimelineEvent): object {
  return { event, at: new Date(at).toISOString(), ...details }
}
