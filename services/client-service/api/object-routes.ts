import { Router } from 'express'
import { excerpt, HttpProblem, methodNotAllowed } from '#foundation/http/problems.ts'
import { chooseFault, type Fault, type FaultShares } from '../domain/fault.ts'
import { type Latency, latencyMs } from '../domain/latency.ts'
import { parseObjectId, statusOf } from '../domain/object.ts'
import { FAULT_ANSWERS, sendStatus } from './fault-answers.ts'
import type { HeldAnswers } from './held-answers.ts'

/** How the service behaves now; may be different for the next answer. */
export interface Behaviour {
  readonly latency: Latency
  readonly faults: FaultShares & { readonly retryAfterSeconds: number; readonly dripIntervalMs: number }
}

export interface ObjectRoutesOptions {
  readonly behaviour: () => Behaviour
  readonly held: HeldAnswers
  readonly random: () => number
  readonly onAnswer: (kind: Fault | 'none') => void
}

/** `GET /objects/:id`: after a random while `{id, online}`, or what `faults` make of it. Refusals do not wait. */
export function objectRoutes({ behaviour, held, random, onAnswer }: ObjectRoutesOptions): Router {
  return Router({ caseSensitive: true, strict: true })
    .get('/objects/:id', async (request, response) => {
      const id = parseObjectId(request.params.id)
      if (id === undefined) throw new HttpProblem('invalid_id', `${excerpt(request.params.id)} is no 64-bit signed integer.`)
      await held.hold(response, latencyMs(behaviour().latency, random()))
      if (response.destroyed) return
      const { faults } = behaviour()
      const fault = chooseFault(faults, id, random())
      onAnswer(fault ?? 'none')
      if (fault) await FAULT_ANSWERS[fault]({ id, response, held, ...faults })
      else sendStatus(response, statusOf(id))
    })
    .all('/objects/:id', methodNotAllowed('GET', 'HEAD'))
}
