import { chaos, IMPOSSIBLE_HERE } from './chaos.ts'
import { FAULT_KINDS } from './fault-kinds.ts'
import { planFaults, planQuickFaults } from './fault-plan.ts'
import { type Summary, summaryOf } from './summary.ts'
import { ROOT } from './system.ts'

const REPLICAS = 3
const PER_SECOND = 50
/**
 * Time without progress after which a run gives up. Suspects run in ever smaller groups, and no callback may end for a while between two
 * groups.
 */
const GIVE_UP_MS = 45_000

export interface RunOptions {
  readonly seed: number
  /** Duration of the run, with a fault every five seconds. */
  readonly seconds?: number
  /** Number of faults, as fast as the system recovers. It replaces `seconds`. */
  readonly faults?: number
  /** Make only kinds of faults whose names contain one of these words. */
  readonly only?: readonly string[]
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

/** Does a run with the faults of a seed, on the services of this checkout. */
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
