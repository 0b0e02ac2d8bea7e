import { setTimeout as sleep } from 'node:timers/promises'
import type { Arena } from './deeds/deed.ts'
import { FAULTS } from './fault-kinds.ts'
import type { Fault } from './fault-plan.ts'
import { inflict } from './inflict.ts'

/** A fault that was made, with its times in epoch milliseconds. */
export interface Inflicted extends Fault {
  /** False if the fault waited for an event that did not come. */
  readonly hasHappened: boolean
  readonly startedAtMs: number
  readonly liftedAtMs: number
}

export interface NemesisOptions extends Arena {
  readonly faults: readonly Fault[]
  readonly seconds: number
  /** Ends the run early, after the fault under way is lifted. */
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

/** Longest wait until the system accepts callbacks again. After that, the next fault comes in any case. */
const RECOVERY_MS = 1500

/**
 * Makes one fault after the other. Each begins at its time, but not before the previous fault is lifted and the system accepts callbacks
 * again. After the last fault, the run continues without faults until its time is over.
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
