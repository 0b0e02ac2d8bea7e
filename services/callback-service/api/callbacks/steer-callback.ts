import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { CallbackView } from '../../domain/callback.ts'
import { MAX_PRIORITY, MIN_PRIORITY } from '../../domain/steering/change.ts'
import { type Objects, parseCallbackChanges, parseRetry } from '../../domain/steering/parse-steering.ts'
import type { CallbackChanges, CallbackKey, Found } from '../../domain/steering/steered.ts'
import { callerOf } from '../gates/caller-of.ts'
import { Uuid } from '../schemas.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { BODY_PROBLEMS, jsonBodyOf, optionalJsonBodyOf } from '../workspaces/subject.ts'
import { Labels } from '../workspaces/workspace-representation.ts'
import { callbackKeyOf, callbackNotFound, KEY_PROBLEMS, requireReachable } from './callback-key.ts'
import { CALLBACK_EXAMPLE, CallbackSchema, callbackText } from './representation.ts'

/** What a change found, and the callback after it. */
export interface Steered {
  readonly found: Found
  readonly callback: CallbackView | undefined
}

/** Changes callbacks. A change is on the disk when its promise resolves, and atomic against claims. */
export interface Steering {
  /** Changes a callback that is not finished. */
  change(key: CallbackKey, changes: CallbackChanges): Promise<Steered>
  /** Sends a finished callback one more round. */
  retry(key: CallbackKey, objects: Objects): Promise<Steered>
}

const PRIORITY = { minimum: MIN_PRIORITY, maximum: MAX_PRIORITY } as const
const ONE = { limits: 'reads', access: 'manage', params: Type.Object({ id: Uuid }), query: Type.Object({}) } as const
const SHOWN = { schema: CallbackSchema, example: CALLBACK_EXAMPLE } as const

/** Routes that change a callback and answer with it. */
export function steerCallback(steering: Steering): readonly Route[] {
  return [
    route({
      ...ONE,
      method: 'PATCH',
      path: '/v1/callbacks/:id',
      operationId: 'changeCallback',
      summary: 'Pauses, resumes, prioritises or labels a callback that is not finished',
      body: {
        types: ['application/merge-patch+json', 'application/json'],
        schema: Type.Object(
          {
            activated: Type.Optional(Type.Boolean()),
            priority: Type.Optional(Type.Integer(PRIORITY)),
            agent_labels: Type.Optional(
              Type.Union([Labels, Type.Null()], { description: 'Labels that an agent needs for it. Null: those of its workspace.' }),
            ),
          },
          { additionalProperties: false, minProperties: 1 },
        ),
        example: { activated: false },
      },
      answers: { 200: { ...SHOWN, description: 'The callback with its changes.' } },
      problems: [...BODY_PROBLEMS, ...KEY_PROBLEMS, 'callback_finished', 'callback_spooled'],
      async parse(request) {
        const key = callbackKeyOf(request)
        const changes = parseCallbackChanges(await jsonBodyOf(request))
        return { key, changes, query: workspaceQuery(callerOf(request)) }
      },
      async execute({ key, changes, query }) {
        const { found, callback } = await steering.change(key, changes)
        requireReachable(found)
        if (found === 'completed' || found === 'failed' || found === 'cancelled') throw callbackFinished(found)
        return shown(200, callback, query)
      },
    }),
    route({
      ...ONE,
      method: 'POST',
      path: '/v1/callbacks/:id/retry',
      operationId: 'retryCallback',
      summary: 'Sends a finished callback one more round',
      body: {
        types: ['application/json'],
        schema: Type.Object({ objects: Type.Optional(Type.Enum(['all', 'missing'])) }, { additionalProperties: false }),
        example: { objects: 'missing' },
        isOptional: true,
      },
      answers: { 202: { ...SHOWN, description: 'The callback, which waits for a worker again.' } },
      problems: [...BODY_PROBLEMS, ...KEY_PROBLEMS, 'callback_unfinished', 'callback_spooled'],
      async parse(request) {
        const key = callbackKeyOf(request)
        const body = await optionalJsonBodyOf(request)
        return { key, objects: body ? parseRetry(body) : ('missing' as const), query: workspaceQuery(callerOf(request)) }
      },
      async execute({ key, objects, query }) {
        const { found, callback } = await steering.retry(key, objects)
        requireReachable(found)
        if (found === 'pending' || found === 'running' || found === 'paused') {
          throw new HttpProblem('callback_unfinished', `The callback is ${found}. Only a finished callback can go one more round.`)
        }
        return shown(202, callback, query)
      },
    }),
  ]
}

export function callbackFinished(state: string): HttpProblem {
  return new HttpProblem('callback_finished', `The callback is ${state}.`)
}

function shown(status: number, callback: CallbackView | undefined, query: string) {
  if (!callback) throw callbackNotFound()
  return jsonAnswer(status, callbackText(callback, query))
}
