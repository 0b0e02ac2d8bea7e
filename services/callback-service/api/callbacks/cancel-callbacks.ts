import Type from 'typebox'
import { HttpProblem } from '#foundation/http/problems.ts'
import { queryParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { CallbackKey, Found } from '../../domain/steering/steered.ts'
import { callerOf } from '../gates/caller-of.ts'
import { readLimit } from '../gates/read-limit.ts'
import { Uuid } from '../schemas.ts'
import { requireNoForm } from '../workspaces/subject.ts'
import { callbackKeyOf, KEY_PROBLEMS, requireReachable } from './callback-key.ts'
import { callbackFinished } from './steer-callback.ts'

/** Cancels callbacks. What is cancelled is on the disk when the promise resolves. */
export interface Cancelling {
  /**
   * Cancels a callback that waits. If it runs, its worker gives it back first, if it does so in time.
   * @param signal aborted when nobody waits for the answer any more
   * @returns the state in which the last try found it: `pending`, `paused` and `cancelled` mean that it is cancelled
   */
  cancel(key: CallbackKey, patience: { readonly waitMs: number; readonly signal: AbortSignal }): Promise<Found>
  /** Cancels all callbacks of a workspace that wait in these states. @returns false if some were left when the time was over */
  flush(workspace: string, states: readonly WaitingState[]): Promise<boolean>
}

const WAITING_STATES = ['pending', 'paused'] as const
type WaitingState = (typeof WAITING_STATES)[number]

const MAX_WAIT_SECONDS = 30
/** Waits for workers at once. Each asks the database five times a second. */
const MAX_WAITS = 16
/** Flushes at once. A further one would only meet the locks of the others. */
const MAX_FLUSHES = 2

/** `POST /v1/callbacks/flush`: cancels all callbacks of the workspace that wait. */
export function flushCallbacks({ flush }: Pick<Cancelling, 'flush'>): Route {
  const limited = readLimit(MAX_FLUSHES)
  return route({
    method: 'POST',
    path: '/v1/callbacks/flush',
    operationId: 'flushCallbacks',
    summary: 'Cancels all callbacks of the workspace that wait',
    access: 'manage',
    limits: 'reads',
    query: Type.Object({ state: Type.Optional(Type.Enum([...WAITING_STATES])) }),
    answers: { 204: { description: 'No callback waits that was received before the request.' } },
    problems: ['unsupported_media_type', 'invalid_parameter', 'flush_unfinished', 'too_many_reads', 'storage_unavailable'],
    parse(request) {
      requireNoForm(request)
      const state = queryParameter(request, 'state', text => WAITING_STATES.find(each => each === text), 'pending or paused')
      return { workspace: callerOf(request).workspace.name, states: state ? [state] : WAITING_STATES }
    },
    async execute({ workspace, states }) {
      if (await limited(() => flush(workspace, states))) return { status: 204, body: '' }
      throw new HttpProblem('flush_unfinished', 'Some callbacks still wait. Send the request again.', { headers: { 'Retry-After': '1' } })
    },
  })
}

/** `DELETE /v1/callbacks/:id`: cancels a callback that waits, or that its worker gives back in time. */
export function cancelCallback({ cancel }: Pick<Cancelling, 'cancel'>): Route {
  const limited = readLimit(MAX_WAITS)
  return route({
    method: 'DELETE',
    path: '/v1/callbacks/:id',
    operationId: 'cancelCallback',
    summary: 'Cancels a callback that is not finished',
    access: 'manage',
    limits: 'reads',
    params: Type.Object({ id: Uuid }),
    query: Type.Object({
      wait: Type.Optional(
        Type.String({
          pattern: '^([0-9]|[12][0-9]|30)$',
          description: 'Seconds, 0 to 30, to wait until the worker of a running callback gives it back.',
        }),
      ),
    }),
    answers: { 204: { description: 'The callback is cancelled.' } },
    problems: [...KEY_PROBLEMS, 'callback_finished', 'callback_running', 'callback_spooled'],
    parse: request => ({
      key: callbackKeyOf(request),
      waitSeconds: queryParameter(request, 'wait', readWait, `a number of seconds from 0 to ${MAX_WAIT_SECONDS}`) ?? 0,
    }),
    async execute({ key, waitSeconds }, response) {
      const gone = new AbortController()
      const onClose = (): void => gone.abort()
      // The caller may have left while the gate looked up its key. Such a response never closes again.
      if (response.destroyed) onClose()
      response.once('close', onClose)
      const patience = { waitMs: waitSeconds * 1000, signal: gone.signal }
      try {
        const found = await (waitSeconds > 0 ? limited(() => cancel(key, patience)) : cancel(key, patience))
        requireReachable(found)
        if (found === 'completed' || found === 'failed') throw callbackFinished(found)
        if (found === 'running') throw callbackRunning(waitSeconds)
        return { status: 204, body: '' }
      } finally {
        response.off('close', onClose)
      }
    },
  })
}

function readWait(text: string): number | undefined {
  return /^\d{1,2}$/.test(text) && Number(text) <= MAX_WAIT_SECONDS ? Number(text) : undefined
}

function callbackRunning(waitSeconds: number): HttpProblem {
  const detail =
    waitSeconds > 0
      ? `Its worker did not give it back within ${waitSeconds} s. Send the request again, or pause the callback.`
      : 'A worker has it. With ?wait=5, the worker gives it back first.'
  return new HttpProblem('callback_running', detail)
}
