import { setTimeout as sleep } from 'node:timers/promises'
import type { Arena } from './deeds/deed.ts'
import { FAULTS } from './fault-kinds.ts'
import type { Fault } from './fault-plan.ts'
import { inflict } from './inflict.ts'

/** A fault as it came. Epoch milliseconds. */
export interface Inflicted extends Fault {
  /** False where it waited for something that did not come by. */
  readonly hasHappened: boolean
  readonly startedAtMs: number
  readonly liftedAtMs: number
}

export interface NemesisOptions extends Arena {
  readonly faults: readonly Fault[]
  readonly seconds: number
  /** Ends it early, with the fault under way lifted. */
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

/** How long the system may take to accept again before the next fault comes all the same. */
const RECOVERY_MS = 1500

/**
 * Inflicts one fault after the other, each when its time has come, the one before is lifted, and callbacks are accepted again. Goes on in peace
 * until the time is over.
 */
export async function runNemesis({ faults, seconds, signal, say, ...arena }: NemesisOptions): Promise<Inflicted[]> {
  const began = performance.now()
  const until = (ms: number): Promise<void> => sleep(Math.max(0, began + ms - performance.now()), undefined, { signal })
  const inflicted: Inflicted[] = []
  for (const fault of faults) {
    await until(fault.atMs)
    const startedAtMs = Date.now()
    say(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${fault.kind}${detail(fault)}`)
    const hasHappened = await inflict(fault, arena)
    inflicted.push({ ...fault, hasHappened, startedAtMs, liftedAtMs: Date.now() })
    await arena.system.ready(RECOVERY_MS)
  }
  await until(seconds * 1000)
  return inflicted
}

function detail({ kind, replica, stepMs }: Fault): string {
  if (stepMs !== 0) return `, ${stepMs / 1000} s`
  return ['replica', 'senders'].includes(FAULTS[kind].meets) ? `, replica ${replica}` : ''
}
