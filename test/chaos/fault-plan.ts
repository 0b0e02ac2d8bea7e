import { FAULT_KINDS, FAULTS, type FaultKind } from './fault-kinds.ts'
import { between, type Random, seededRandom, shuffled } from './random.ts'

export interface Fault {
  readonly kind: FaultKind
  /** The earliest moment of the fault, counted from the beginning of the run. */
  readonly atMs: number
  readonly forMs: number
  /** The target, if it is a replica: its number from 0, or the next one that runs. */
  readonly replica: number
  /** Share of the answers that go wrong, above 0 and at most 1, if the fault affects only some. */
  readonly share: number
  /** Size of the step, if the fault is a step of the database's clock. */
  readonly stepMs: number
}

interface Drawing {
  readonly seed: number
  readonly replicas: number
  /** Kinds that cannot be made on this machine. */
  readonly without?: readonly FaultKind[]
}

const INTERVAL_MS = 5000
const STEPS_MS = [2000, 60_000, 3_600_000] as const
/** Largest sum of all steps, in either direction. */
const MAX_OFFSET_MS = 3_700_000

/** Plans one fault every five seconds. The same seed gives the same faults. Every kind comes once before a kind comes again. */
export function planFaults({ seconds, ...drawing }: Drawing & { readonly seconds: number }): Fault[] {
  return drawFaults(Math.max(0, Math.floor(seconds / (INTERVAL_MS / 1000)) - 1), 'ms', drawing).map((fault, i) => ({
    ...fault,
    atMs: (i + 1) * INTERVAL_MS,
  }))
}

/**
 * Plans `count` short faults, each as early as possible. The same seed gives the same faults. Every kind comes once before a kind comes
 * again.
 */
export function planQuickFaults({ count, ...drawing }: Drawing & { readonly count: number }): Fault[] {
  return drawFaults(count, 'quick', drawing)
}

function drawFaults(count: number, length: 'ms' | 'quick', { seed, replicas, without = [] }: Drawing): Fault[] {
  const random = seededRandom(seed)
  const kinds = FAULT_KINDS.filter(kind => !without.includes(kind))
  const faults: Fault[] = []
  let deck: FaultKind[] = []
  let offsetMs = 0
  while (faults.length < count) {
    if (deck.length === 0) deck = shuffled(random, kinds)
    const kind = deck.pop() as FaultKind
    const [least, most] = FAULTS[kind][length]
    const stepMs = kind === 'clock steps' ? drawStep(random, offsetMs) : 0
    offsetMs += stepMs
    faults.push({
      kind,
      atMs: 0,
      forMs: between(random, least, most),
      replica: between(random, 0, replicas - 1),
      share: between(random, 2, 10) / 10,
      stepMs,
    })
  }
  return faults
}

function drawStep(random: Random, offsetMs: number): number {
  const size = STEPS_MS[between(random, 0, STEPS_MS.length - 1)] as number
  const stepMs = random() < 0.5 ? size : -size
  return Math.abs(offsetMs + stepMs) > MAX_OFFSET_MS ? -stepMs : stepMs
}
