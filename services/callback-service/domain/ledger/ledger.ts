/** What became of the callbacks that the service received in a span of time. */
export interface Tally {
  /** When the span begins, in epoch milliseconds. */
  readonly fromMs: number
  readonly accepted: number
  /** Those of them that have an idempotency key. */
  readonly keyed: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  /** The first 8 bytes of the SHA-256 of each key as an integer, added up. Only its value modulo 2^64 counts. */
  readonly digest: bigint
}

/** Answers that left no callback, in the span that begins at `fromMs`. */
export interface CountedAnswers {
  readonly fromMs: number
  /** `replayed`, or the code of a problem. */
  readonly outcome: string
  readonly count: number
}

/** What the database knows of a workspace, all read at one moment. No span is longer than an hour. */
export interface LedgerFacts {
  /** Hours of which a part is only known for the whole hour. Everything that the other members have of such an hour covers the whole hour. */
  readonly mergedHours: readonly number[]
  /** Callbacks that are in the database. */
  readonly live: readonly Tally[]
  /** Callbacks whose rows are gone, by the hour. */
  readonly gone: readonly Tally[]
  readonly answers: readonly CountedAnswers[]
}

/** Whole intervals. Each begins at a multiple of the step since 1970-01-01T00:00:00Z. */
export interface LedgerSpan {
  readonly fromMs: number
  readonly toMs: number
  readonly stepMs: number
}

export interface LedgerInterval {
  readonly fromMs: number
  readonly toMs: number
  readonly accepted: number
  readonly keyed: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  readonly unfinished: number
  readonly replayed: number
  readonly refused: Readonly<Record<string, number>>
  /** 16 lower-case hexadecimal digits. */
  readonly keysDigest: string
}

export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000
/** Maximum number of intervals in one answer. */
export const MAX_INTERVALS = 1440

/** Widens a span to whole intervals. */
export function wholeIntervals({ fromMs, toMs, stepMs }: LedgerSpan): LedgerSpan {
  return { fromMs: startOf(fromMs, stepMs), toMs: Math.ceil(toMs / stepMs) * stepMs, stepMs }
}

/** Whether intervals of this length never cross the end of an hour, or consist of whole hours. */
export function isStep(stepMs: number): boolean {
  return stepMs >= MINUTE_MS && stepMs <= DAY_MS && (HOUR_MS % stepMs === 0 || stepMs % HOUR_MS === 0)
}

/**
 * Makes the intervals of a span, oldest first, also those without callbacks. An hour of which a part is only known for the whole hour is one
 * interval, even if the step is shorter and the span begins or ends within the hour.
 */
export function intervalsOf(span: LedgerSpan, { mergedHours, live, gone, answers }: LedgerFacts): LedgerInterval[] {
  const merged = new Set(mergedHours)
  const slots = new Map<number, Slot>()
  const slotOf = (ms: number): Slot => {
    const hour = startOf(ms, HOUR_MS)
    const lengthMs = merged.has(hour) ? Math.max(HOUR_MS, span.stepMs) : span.stepMs
    const fromMs = startOf(ms, lengthMs)
    const slot = slots.get(fromMs) ?? emptySlot(fromMs, fromMs + lengthMs)
    slots.set(fromMs, slot)
    return slot
  }
  for (let ms = span.fromMs; ms < span.toMs; ms += span.stepMs) slotOf(ms)
  for (const tally of [...live, ...gone]) add(slotOf(tally.fromMs), tally)
  for (const { fromMs, outcome, count } of answers) addAnswers(slotOf(fromMs), outcome, count)
  return [...slots.values()].toSorted((a, b) => a.fromMs - b.fromMs).map(intervalOf)
}

interface Slot extends Tally {
  readonly toMs: number
  accepted: number
  keyed: number
  completed: number
  failed: number
  cancelled: number
  digest: bigint
  replayed: number
  readonly refused: Map<string, number>
}

function emptySlot(fromMs: number, toMs: number): Slot {
  return { fromMs, toMs, accepted: 0, keyed: 0, completed: 0, failed: 0, cancelled: 0, digest: 0n, replayed: 0, refused: new Map() }
}

function add(slot: Slot, tally: Tally): void {
  slot.accepted += tally.accepted
  slot.keyed += tally.keyed
  slot.completed += tally.completed
  slot.failed += tally.failed
  slot.cancelled += tally.cancelled
  slot.digest += tally.digest
}

function addAnswers(slot: Slot, outcome: string, count: number): void {
  if (outcome === 'replayed') slot.replayed += count
  else slot.refused.set(outcome, (slot.refused.get(outcome) ?? 0) + count)
}

function intervalOf({ refused, digest, ...slot }: Slot): LedgerInterval {
  return {
    ...slot,
    unfinished: slot.accepted - slot.completed - slot.failed - slot.cancelled,
    refused: Object.fromEntries(refused),
    keysDigest: BigInt.asUintN(64, digest).toString(16).padStart(16, '0'),
  }
}

function startOf(ms: number, lengthMs: number): number {
  return Math.floor(ms / lengthMs) * lengthMs
}
