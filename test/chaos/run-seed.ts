import { chaos, IMPOSSIBLE_HERE } from './chaos.ts'
import { FAULT_KINDS } from './fault-kinds.ts'
import { planFaults, planQuickFaults } from './fault-plan.ts'
import { type Summary, summaryOf } from './summary.ts'
import { ROOT } from './system.ts'

const REPLICAS = 3
const PER_SECOND = 50
/** Callbacks that crashed with their workers are tried again in ever smaller groups: between two of those nothing may end for a while. */
const GIVE_UP_MS = 45_000

export interface RunOptions {
  readonly seed: number
  /** A fault every five seconds, for so long. */
  readonly seconds?: number
  /** Instead: so many faults, as fast as the system recovers. */
  readonly faults?: number
  /** Only kinds with one of these in their names. */
  readonly only?: readonly string[]
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

/** A run with the faults of a seed, on the services of this checkout. */
export async function runSeed({ seed, seconds = 0, faults: count, only = [''], signal, say }: RunOptions): Promise<Summary> {
  const drawing = {
    seed,
    replicas: REPLICAS,
    without: [...IMPOSSIBLE_HERE, ...FAULT_KINDS.filter(kind => !only.some(words => kind.includes(words)))],
  }
  const faults = count === undefined ? planFaults({ ...drawing, seconds }) : planQuickFaults({ ...drawing, count })
  say(`chaos with ${faults.length} faults, seed ${seed}`)
  for (const kind of IMPOSSIBLE_HERE) say(`without the fault "${kind}": libfaketime is not installed`)
  const options = { seed, seconds, faults, perSecond: PER_SECOND, replicas: REPLICAS, root: ROOT, giveUpMs: GIVE_UP_MS }
  return summaryOf(await chaos({ ...options, signal, say }), seed)
}
