import { setTimeout as sleep } from 'node:timers/promises'
import { FAULTS, type Fault } from './fault-plan.ts'
import { inflict } from './inflict.ts'
import type { ChaosSystem } from './system.ts'

/** A fault as it came. Epoch milliseconds. */
export interface Inflicted extends Fault {
  /** False where it waited for something that did not come by. */
  readonly hasHappened: boolean
  readonly startedAtMs: number
  readonly liftedAtMs: number
}

export interface NemesisOptions {
  readonly system: ChaosSystem
  readonly faults: readonly Fault[]
  readonly seconds: number
  /** Ends it early, with the fault under way lifted. */
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

/** Inflicts one fault after the other, each when its time has come and the one before is lifted, and goes on in peace until the time is over. */
export async function runNemesis({ system, faults, seconds, signal, say }: NemesisOptions): Promise<Inflicted[]> {
  const began = performance.now()
  const until = (ms: number): Promise<void> => sleep(Math.max(0, began + ms - performance.now()), undefined, { signal })
  const inflicted: Inflicted[] = []
  for (const fault of faults) {
    await until(fault.atMs)
    const startedAtMs = Date.now()
    const { meets } = FAULTS[fault.kind]
    say(`${(fault.atMs / 1000).toFixed(0).padStart(4)} s  ${fault.kind}${meets === 'replica' ? `, replica ${fault.replica}` : ''}`)
    const hasHappened = await inflict(fault, system)
    inflicted.push({ ...fault, hasHappened, startedAtMs, liftedAtMs: Date.now() })
  }
  await until(seconds * 1000)
  return inflicted
}
