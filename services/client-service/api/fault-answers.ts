import type { ServerResponse } from 'node:http'
import { type Answer, jsonAnswer, problemAnswer } from '#foundation/http/answer.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import type { Fault } from '../domain/fault.ts'
import { neighbourOf, type ObjectId, type ObjectStatus, statusOf } from '../domain/object.ts'
import { FOREVER_MS, type HeldAnswers } from './held-answers.ts'
import { PROBLEMS } from './problem-kinds.ts'

/** One request for an object that must get a faulty answer. */
export interface FaultyExchange {
  readonly id: ObjectId
  readonly response: ServerResponse
  readonly held: HeldAnswers
  readonly retryAfterSeconds: number
  readonly dripIntervalMs: number
}

/** How each fault answers. A thrown problem becomes a problem answer. Undefined means that the fault ended the response itself. */
export const FAULT_ANSWERS: Readonly<Record<Fault, (exchange: FaultyExchange) => Answer | undefined | Promise<undefined>>> = {
  error() {
    // If this were thrown, the log would call it a bug of ours.
    return problemAnswer(new HttpProblem('injected_error', 'faults.errorShare asks for this.'), PROBLEMS.injected_error)
  },
  too_many_requests({ retryAfterSeconds }): never {
    throw new HttpProblem('too_many_requests', 'faults.tooManyRequestsShare asks for this.', {
      headers: { 'Retry-After': String(retryAfterSeconds) },
    })
  },
  not_found(): never {
    throw new HttpProblem('object_not_found', 'faults.notFoundShare asks for this.')
  },
  async hang({ response, held }) {
    await held.hold(response, FOREVER_MS)
    response.destroy()
    return undefined
  },
  async drip({ response, held, dripIntervalMs }) {
    response.setHeader('Content-Type', 'application/json; charset=utf-8').flushHeaders()
    // White space before a JSON value is valid, so a reader cannot tell from it that the answer is bad.
    const drip = setInterval(() => response.write(' '), dripIntervalMs)
    await held.hold(response, FOREVER_MS)
    clearInterval(drip)
    response.destroy()
    return undefined
  },
  garbage() {
    return jsonAnswer(200, 'It works!')
  },
  wrong_id({ id }) {
    return statusAnswer(statusOf(neighbourOf(id)))
  },
  reset({ response }) {
    response.socket?.resetAndDestroy()
    return undefined
  },
}

/** Answers `{id, online}`. The id is exact, even beyond 2^53. */
export function statusAnswer({ id, online }: ObjectStatus): Answer {
  return jsonAnswer(200, `{"id":${id},"online":${online}}`)
}
