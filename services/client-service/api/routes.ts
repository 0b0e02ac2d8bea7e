import Type from 'typebox'
import { type Check, healthRoutes } from '#foundation/http/health.ts'
import { excerpt, HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { withSelfDescription } from '#foundation/http/self-description.ts'
import { chooseFault, type Fault, type FaultShares } from '../domain/fault.ts'
import { type Latency, latencyMs } from '../domain/latency.ts'
import { parseObjectId, statusOf } from '../domain/object.ts'
import { FAULT_ANSWERS, statusAnswer } from './fault-answers.ts'
import type { HeldAnswers } from './held-answers.ts'
import { PROBLEMS } from './problem-kinds.ts'

/** How the service behaves now. The next answer may find it changed. */
export interface Behaviour {
  readonly latency: Latency
  readonly faults: FaultShares & { readonly retryAfterSeconds: number; readonly dripIntervalMs: number }
}

export interface ObjectRouteOptions {
  readonly behaviour: () => Behaviour
  readonly held: HeldAnswers
  readonly random: () => number
  readonly onAnswer: (kind: Fault | 'none') => void
}

/** Returns all routes of the client service, in the order in which the router tries them. */
export function clientServiceRoutes({ checks, ...objects }: ObjectRouteOptions & { readonly checks: readonly Check[] }): readonly Route[] {
  return withSelfDescription({
    title: 'Answerback client service',
    description: 'Stands in for the system that knows the objects. Its settings make it slow or faulty.',
    routes: [getObject(objects), ...healthRoutes(checks)],
    kinds: PROBLEMS,
  })
}

/** `GET /objects/:id`: answers `{id, online}` after a random delay, or with a fault. Refusals come without delay. */
function getObject({ behaviour, held, random, onAnswer }: ObjectRouteOptions): Route {
  return route({
    method: 'GET',
    path: '/objects/:id',
    operationId: 'getObject',
    summary: 'Reports whether an object is online, after a delay',
    access: 'public',
    limits: 'none',
    params: Type.Object({ id: Type.String({ pattern: '^(0|-?[1-9][0-9]{0,18})$', description: 'A 64-bit signed integer.' }) }),
    answers: {
      200: {
        description: 'The object.',
        schema: Type.Object({ id: Type.Integer(), online: Type.Boolean() }, { additionalProperties: false }),
        example: { id: 7, online: false },
      },
    },
    problems: ['invalid_id', 'object_not_found', 'too_many_requests', 'injected_error'],
    parse(request) {
      const given = pathParameter(request, 'id')
      const id = parseObjectId(given)
      if (id === undefined) throw new HttpProblem('invalid_id', `${excerpt(given)} is not a 64-bit signed integer.`)
      return id
    },
    async execute(id, response) {
      await held.hold(response, latencyMs(behaviour().latency, random()))
      if (response.destroyed) return undefined
      const { faults } = behaviour()
      const fault = chooseFault(faults, id, random())
      onAnswer(fault ?? 'none')
      return fault ? FAULT_ANSWERS[fault]({ id, response, held, ...faults }) : statusAnswer(statusOf(id))
    },
  })
}
