import { FAULTS } from './fault-kinds.ts'
import type { Transition } from './history.ts'
import type { Inflicted } from './nemesis.ts'
import type { Life } from './supervised-service.ts'

export interface Timed {
  /** The lives of each replica, in order. */
  readonly replicas: readonly { readonly name: string; readonly lives: readonly Life[] }[]
  readonly transitions: readonly Transition[]
  readonly inflicted: readonly Inflicted[]
}

/** Durations in milliseconds, in no particular order. */
export interface Timings {
  /** From a kill -9 until the last callback that the dead process had claimed was given back. */
  readonly takeOver: number[]
  /** From the start of a process until it is ready. */
  readonly ready: number[]
  /** From the start of a process to its first claim. */
  readonly firstClaim: number[]
}

/**
 * Measures take-overs and restarts. It leaves out those during an outage of Postgres or of a replica's connection to it, and take-overs for
 * which no other replica was ready.
 */
export function timingsOf({ replicas, transitions, inflicted }: Timed): Timings {
  const outages = inflicted.filter(
    ({ kind }) => FAULTS[kind].meets === 'all' || /refuse|silence|abandon|spooling|draining|rivals|url/.test(kind),
  )
  const isCalm = (fromMs: number, toMs: number): boolean =>
    outages.every(({ startedAtMs, liftedAtMs }) => toMs < startedAtMs || fromMs > liftedAtMs)
  // Leases have no worker.
  const claims = transitions.filter(({ to, newWorker }) => to === 'running' && newWorker !== null)
  const handOvers = transitions.filter(({ from, to }) => from === 'running' && to === 'pending')

  const takeOver = replicas.flatMap(({ name, lives }) =>
    lives.filter(isKilled).flatMap(life => {
      const claimedBy = claims.findLast(claim => claim.replica === name && isDuring(life, claim.atMs))?.newWorker
      const given = handOvers.filter(({ oldWorker, atMs }) => oldWorker === claimedBy && atMs >= life.endedAtMs)
      const lastMs = given.at(-1)?.atMs
      const hasHeir = replicas.some(other => other.name !== name && other.lives.some(heir => isReadyAt(heir, life.endedAtMs)))
      return lastMs !== undefined && hasHeir && isCalm(life.endedAtMs, lastMs) ? [lastMs - life.endedAtMs] : []
    }),
  )
  const restarts = replicas.flatMap(({ name, lives }) =>
    lives.slice(1).flatMap(life => {
      const { spawnedAtMs, readyAtMs } = life
      if (readyAtMs === undefined || !isCalm(spawnedAtMs, readyAtMs)) return []
      const first = claims.find(claim => claim.replica === name && isDuring(life, claim.atMs))
      return [{ ready: readyAtMs - spawnedAtMs, firstClaim: first && first.atMs - spawnedAtMs }]
    }),
  )
  return {
    takeOver,
    ready: restarts.map(({ ready }) => ready),
    firstClaim: restarts.flatMap(({ firstClaim }) => firstClaim ?? []),
  }
}

function isKilled(life: Life): life is Life & { endedAtMs: number } {
  return life.end === 'kill' && life.endedAtMs !== undefined
}

function isDuring({ spawnedAtMs, endedAtMs = Number.POSITIVE_INFINITY }: Life, ms: number): boolean {
  return ms >= spawnedAtMs && ms <= endedAtMs
}

function isReadyAt({ readyAtMs = Number.POSITIVE_INFINITY, endedAtMs = Number.POSITIVE_INFINITY }: Life, ms: number): boolean {
  return readyAtMs < ms && endedAtMs > ms
}
