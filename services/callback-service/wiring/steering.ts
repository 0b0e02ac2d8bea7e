import type { Part } from '#foundation/lifecycle/parts.ts'
import { rest } from '#foundation/lifecycle/rest.ts'
import type { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { databaseTime, flushCallbacks, isAnyLeft } from '../adapters/postgres/callback-flush.ts'
import { findCallback } from '../adapters/postgres/callback-reader.ts'
import { CallbackSteering } from '../adapters/postgres/callback-steering.ts'
import type { Database } from '../adapters/postgres/database.ts'
import { readTimeline } from '../adapters/postgres/timeline-reader.ts'
import type { Cancelling } from '../api/callbacks/cancel-callbacks.ts'
import type { ReadTimeline } from '../api/callbacks/get-timeline.ts'
import type { Steered, Steering } from '../api/callbacks/steer-callback.ts'
import type { CallbackState, CallbackView } from '../domain/callback.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import { cancelWithin } from '../domain/steering/cancellation.ts'
import { flush } from '../domain/steering/flush.ts'
import type { CallbackKey, Found } from '../domain/steering/steered.ts'

type InTurn = <T>(workspace: string, change: () => Promise<T>) => Promise<T>

interface Needs {
  readonly database: Database
  readonly read: Database
  /** Finds callbacks that are still in the spool. */
  readonly inbox: { find(workspace: string, id: string): Promise<CallbackView | undefined> }
  /** Emitted with the workspace when it has callbacks that are due. */
  readonly arrived: Signal<string>
  readonly events: Signal<CallbackEvent>
  /** Runs a read, if there are not too many. */
  readonly limited: <T>(read: () => Promise<T>) => Promise<T>
  /** Runs a change of a callback of a workspace when it is its turn, if not too many wait. */
  readonly inTurn: InTurn
  /** The same for those that wait for a worker, of which the API lets in few enough. */
  readonly waitingInTurn: InTurn
  readonly logger: Logger
}

/** Maximum time of a flush. A client and the proxies before it wait that long. */
const MAX_FLUSH_MS = 20_000

/** What changes callbacks from outside. */
interface SteeringRooms extends Steering, Cancelling {
  readonly timeline: ReadTimeline
  /** Ends the waits for workers and locks when the service stops. Stop it before the port drains. */
  readonly waiting: Part
}

/** Joins what changes callbacks from outside. */
export function steering(needs: Needs): SteeringRooms {
  const { database, read, inbox, arrived, events, limited, inTurn, waitingInTurn, logger } = needs
  const callbacks = new CallbackSteering(database.prisma)
  const nowMs = (): number => performance.now()
  const stopping = new AbortController()

  /** Looks into the spool first: a callback leaves it only when the database has it, so one that is in neither does not exist. */
  const unlessSpooled = async (key: CallbackKey, steer: () => Promise<CallbackState | undefined>): Promise<Found> =>
    (await inbox.find(key.workspace, key.id)) ? 'spooled' : steer()
  const tell = (what: string, { workspace, id }: CallbackKey, state: CallbackState, details: object = {}): void => {
    logger.info({ workspace, callback_id: id, ...details }, what)
    events.emit({ event: 'steered', id, workspace, state })
  }
  const steered = (
    what: string,
    details: object,
    key: CallbackKey,
    mayChange: (found: Found) => boolean,
    steer: () => Promise<CallbackState | undefined>,
  ): Promise<Steered> =>
    inTurn(key.workspace, async () => {
      const found = await unlessSpooled(key, steer)
      if (!mayChange(found)) return { found, callback: undefined }
      const callback = await findCallback(database.prisma, key.workspace, key.id)
      if (callback) tell(what, key, callback.state, details)
      if (callback?.state === 'pending') arrived.emit(key.workspace)
      return { found, callback }
    })

  return {
    change: (key, changes) => steered('callback changed', { ...changes }, key, isUnfinished, () => callbacks.change(key, changes)),
    retry: (key, objects) => steered('callback sent one more round', { objects }, key, isFinished, () => callbacks.retry(key, objects)),
    async cancel(key, { waitMs, signal }) {
      const ended = AbortSignal.any([signal, stopping.signal])
      const run = waitMs > 0 ? waitingInTurn : inTurn
      const found = await cancelWithin(
        {
          cancel: () => run(key.workspace, () => unlessSpooled(key, () => callbacks.cancel(key))),
          wish: () => run(key.workspace, () => callbacks.wishCancelled(key)),
          isWished: () => callbacks.isWishedCancelled(key),
        },
        { waitMs, nowMs, isGone: () => ended.aborted, rest: ms => rest(ms, ended) },
      )
      if (found === 'pending' || found === 'paused' || found === 'cancelled') tell('callback cancelled', key, 'cancelled')
      return found
    },
    async flush(workspace, states) {
      const until = await databaseTime(database.prisma)
      for (const state of states) {
        const waiting = { workspace, state, until }
        const isDone = await flush(
          {
            cancelSome: limit => flushCallbacks(database.prisma, { ...waiting, limit }),
            isAnyLeft: () => isAnyLeft(database.prisma, waiting),
          },
          { maxMs: MAX_FLUSH_MS / states.length, isOver: () => stopping.signal.aborted, nowMs, rest: ms => rest(ms, stopping.signal) },
        )
        if (!isDone) return false
      }
      logger.info({ workspace, states }, 'callbacks flushed')
      return true
    },
    waiting: { name: 'waiting changes', stop: () => stopping.abort() },
    timeline: key => limited(async () => (await spooledPast(inbox, key)) ?? readTimeline(read.prisma, key)),
  }
}

async function spooledPast(inbox: Needs['inbox'], { workspace, id }: CallbackKey) {
  const spooled = await inbox.find(workspace, id)
  return (
    spooled && {
      id,
      state: spooled.state,
      receivedAt: spooled.receivedAt,
      isSpooled: true,
      entries: [],
      claim: undefined,
      processes: new Map(),
    }
  )
}

function isUnfinished(found: Found): boolean {
  return found === 'pending' || found === 'running' || found === 'paused'
}

function isFinished(found: Found): boolean {
  return found === 'completed' || found === 'failed' || found === 'cancelled'
}
