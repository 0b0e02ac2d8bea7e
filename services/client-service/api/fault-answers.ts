import type { Response } from 'express'
import { HttpProblem, problemBody } from '#foundation/http/problems.ts'
import type { Fault } from '../domain/fault.ts'
import { neighbourOf, type ObjectId, type ObjectStatus, statusOf } from '../domain/object.ts'
import { FOREVER_MS, type HeldAnswers } from './held-answers.ts'
import { PROBLEMS } from './problems.ts'

/** One question for an object whose answer is to go wrong. */
export interface FaultyExchange {
  readonly id: ObjectId
  readonly response: Response
  readonly held: HeldAnswers
  readonly retryAfterSeconds: number
  readonly dripIntervalMs: number
}

/** How each fault looks from outside. What is thrown is a problem answer. */
export const FAULT_ANSWERS: Readonly<Record<Fault, (exchange: FaultyExchange) => void | Promise<void>>> = {
  error({ response }) {
    // Written here: thrown, it would be logged as a bug of ours.
    const body = problemBody('injected_error', PROBLEMS.injected_error, 'faults.errorShare asks for this.')
    response.writeHead(500, { 'Content-Type': 'application/problem+json' }).end(body)
  },
  too_many_requests({ retryAfterSeconds }) {
    throw new HttpProblem('too_many_requests', 'faults.tooManyRequestsShare asks for this.', {
      headers: { 'Retry-After': String(retryAfterSeconds) },
    })
  },
  not_found() {
    throw new HttpProblem('object_not_found', 'faults.notFoundShare asks for this.')
  },
  async hang({ response, held }) {
    await held.hold(response, FOREVER_MS)
    response.destroy()
  },
  async drip({ response, held, dripIntervalMs }) {
    response.type('json').flushHeaders()
    // Blanks before a JSON value are valid, so a reader cannot give up by looking at them.
    const drip = setInterval(() => response.write(' '), dripIntervalMs)
    await held.hold(response, FOREVER_MS)
    clearInterval(drip)
    response.destroy()
  },
  garbage({ response }) {
    response.type('json').end('It works!')
  },
  wrong_id({ id, response }) {
    sendStatus(response, statusOf(neighbourOf(id)))
  },
  reset({ response }) {
    response.socket?.resetAndDestroy()
  },
}

/** Answers `{id, online}`; the id is written digit by digit, exact beyond 2^53. */
export function sendStatus(response: Response, { id, online }: ObjectStatus): void {
  response.type('json').end(`{"id":${id},"online":${online}}`)
}
