import type { ServerResponse } from 'node:http'
import { type Answer, jsonAnswer, problemAnswer } from '#foundation/http/answer.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import type { Fault } from '../domain/fault.ts'
import { neighbourOf, type ObjectId, type ObjectStatus, statusOf } from '../domain/object.ts'
import { FOREVER_MS, type HeldAnswers } from './held-answers.ts'
import { PROBLEMS } from './problem-kinds.ts'

/** One question for an object whose answer is to go wrong. */
export interface FaultyExchange {
  readonly id: ObjectId
  readonly response: ServerResponse
  readonly held: HeldAnswers
  readonly retryAfterSeconds: number
  readonly dripIntervalMs: number
}

/** How each fault looks from outside. What is thrown is a problem answer; undefined is an answer that never ends well. */
export const FAULT_ANSWERS: Readonly<Record<Fault, (exchange: FaultyExchange) => Answer | undefined | Promise<undefined>>> = {
  error() {
    // Thrown, it would be logged as a bug of ours.
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
    // Blanks before a JSON value are valid, so a reader cannot give up by looking at them.
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

/** Answers `{id, online}`; the id is written digit by digit, exact beyond 2^53. */
export function statusAnswer({ id, online }: ObjectStatus): Answer {
  return jsonAnswer(200, `{"id":${id},"online":${online}}`)
}
