import { between, seededRandom, shuffled } from './random.ts'

/**
 * Every kind of fault: what it meets, and the least and most milliseconds it lasts. How each is done stands in inflict.ts.
 * What a kind waits for (the next insert, say) it waits for as long as it lasts.
 */
export const FAULTS = {
  kill: { meets: 'replica', ms: [0, 0] },
  'kill at an insert': { meets: 'replica', ms: [2000, 2000] },
  'kill at a commit': { meets: 'replica', ms: [2000, 2000] },
  'kill while spooling': { meets: 'replica', ms: [1000, 3000] },
  'kill while draining': { meets: 'replica', ms: [500, 2000] },
  terminate: { meets: 'replica', ms: [0, 0] },
  'terminate while spooling': { meets: 'replica', ms: [1000, 4000] },
  // Longer than the lease, so that it wakes up as somebody whose work was given away.
  hang: { meets: 'replica', ms: [3500, 4800] },
  cut: { meets: 'replica', ms: [0, 0] },
  refuse: { meets: 'replica', ms: [500, 4000] },
  silence: { meets: 'replica', ms: [500, 4000] },
  abandon: { meets: 'replica', ms: [500, 4500] },
  'lose an answer': { meets: 'replica', ms: [0, 0] },
  'lose a commit': { meets: 'replica', ms: [2000, 2000] },
  'postgres crashes': { meets: 'all', ms: [0, 2500] },
  'postgres hangs': { meets: 'all', ms: [500, 4000] },
  'everything crashes': { meets: 'all', ms: [0, 0] },
  'client errs': { meets: 'client', ms: [500, 4000] },
  'client pushes back': { meets: 'client', ms: [500, 3000] },
  'client hangs': { meets: 'client', ms: [500, 4000] },
  'client drips': { meets: 'client', ms: [500, 4000] },
  'client babbles': { meets: 'client', ms: [500, 4000] },
  'client mistakes ids': { meets: 'client', ms: [500, 4000] },
  'client resets': { meets: 'client', ms: [500, 4000] },
  'client goes away': { meets: 'client', ms: [500, 4000] },
  'client is killed': { meets: 'client', ms: [0, 0] },
} as const satisfies Readonly<Record<string, { meets: 'replica' | 'all' | 'client'; ms: readonly [number, number] }>>

export type FaultKind = keyof typeof FAULTS

export interface Fault {
  readonly kind: FaultKind
  /** Since the faults began. */
  readonly atMs: number
  readonly forMs: number
  /** Which replica it meets, from 0; says nothing where it meets something else. */
  readonly replica: number
  /** Of the answers that go wrong, where only some do: above 0, 1 at most. */
  readonly share: number
}

export interface PlanOptions {
  readonly seed: number
  readonly seconds: number
  readonly replicas: number
}

const INTERVAL_MS = 5000

/** One fault every five seconds, the same ones for the same seed. Every kind comes once before any comes again. */
export function planFaults({ seed, seconds, replicas }: PlanOptions): Fault[] {
  const random = seededRandom(seed)
  const kinds = Object.keys(FAULTS) as FaultKind[]
  const faults: Fault[] = []
  let deck: FaultKind[] = []
  for (let atMs = INTERVAL_MS; atMs <= seconds * 1000 - INTERVAL_MS; atMs += INTERVAL_MS) {
    if (deck.length === 0) deck = shuffled(random, kinds)
    const kind = deck.pop() as FaultKind
    const [least, most] = FAULTS[kind].ms
    faults.push({
      kind,
      atMs,
      forMs: between(random, least, most),
      replica: between(random, 0, replicas - 1),
      share: between(random, 2, 10) / 10,
    })
  }
  return faults
}
