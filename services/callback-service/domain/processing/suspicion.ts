/**
 * Finds the callback that kills its worker, without failing innocent ones. Whatever ran when a worker was lost may be what killed it.
 * After the first two crashes it is tried again like any other: most crashes are nobody's fault. From the third one on it is a suspect:
 * suspects are worked on in ever smaller groups, by a process that does nothing else meanwhile and has lived for a while before. Each group
 * that ends without a crash lets the next one be twice as large, but whom the next crash would condemn runs alone.
 * In a crash loop that has another cause no process lives that long, so nobody is blamed for it.
 */
export const SUSPECT_CRASHES = 3

/** Callbacks worked on at once, by the crashes they were in. Those in more crashes are worked on alone. */
const GROUP_SIZES: Readonly<Record<number, number>> = { [SUSPECT_CRASHES]: 16, [SUSPECT_CRASHES + 1]: 4 }

/** The fewest crashes that show who is guilty: the last one happened to a callback that ran alone. */
export const MIN_GUILTY_CRASHES = SUSPECT_CRASHES + 3

/** How many suspects with this many crashes may run together at first. */
export function groupSize(crashes: number): number {
  return GROUP_SIZES[crashes] ?? 1
}

const MAX_GROUP = 16
const MAX_DOUBLINGS = 4
/** A group keeps the process to itself no longer than this: hanging objects are no crime. Whoever is alone has all the time it needs. */
const MAX_EXCLUSIVE_MS = 5000

/** How long a process must have lived before it works on suspects: twice as long for each further crash, up to 16 times. */
function probationMs(baseMs: number, crashes: number): number {
  return baseMs * 2 ** Math.min(MAX_DOUBLINGS, crashes - SUSPECT_CRASHES)
}

/** What a worker is to claim next: anything but suspects (and suspects if there is nothing), a group of suspects, or nothing until what runs has ended. */
export type Turn =
  | { readonly take: 'others'; readonly suspectsWait: boolean }
  | { readonly take: 'suspects'; readonly crashes: number; readonly callbacks: number }
  | { readonly take: 'nothing' }

export interface IsolationOptions {
  readonly probationMs: number
  /** Crashes that condemn a callback. */
  readonly maxCrashes: number
  /** How long this process has lived; monotonic. */
  readonly ageMs: () => number
}

/** Suspects that were claimed together. */
interface Group {
  readonly crashes: number
  readonly callbacks: number
  readonly claimedAtMs: number
  /** Whether any of them was seen to run. */
  ran: boolean
}

/**
 * Keeps suspects apart from everything else in this process. After each group, everything else has as much time as the group took, draining
 * included, unless there is nothing else.
 */
export class Isolation {
  readonly #options: IsolationOptions
  #suspects: number | undefined
  /** When the process stopped claiming anything else. */
  #drainingSinceMs: number | undefined
  /** The group that was claimed last, while nothing else is. */
  #group: Group | undefined
  /** Groups that ended without a crash. */
  #harmless = 0
  #othersUntilMs = 0
  #hadOthers = true

  constructor(options: IsolationOptions) {
    this.#options = options
  }

  /** @param crashes of the least suspected callback that is due; undefined when none is */
  noteSuspects(crashes: number | undefined): void {
    this.#suspects = crashes
  }

  /** Says what to claim now. @param running callbacks that this worker works on */
  turn(running: number): Turn {
    const now = this.#options.ageMs()
    if (this.#group) {
      if (running > 0) this.#group.ran = true
      if (running > 0 && isExclusive(this.#group, now)) return { take: 'nothing' }
      if (running === 0 && this.#group.ran) this.#harmless += 1
      // The group took too long, or another worker took it: whether there are more shows with the next look.
      else this.#suspects = undefined
      this.#othersUntilMs = now + (now - (this.#drainingSinceMs ?? now))
      this.#group = undefined
      this.#drainingSinceMs = undefined
      this.#hadOthers = false
    }
    const crashes = this.#suspects
    const isTurnOfOthers = now < this.#othersUntilMs && !(this.#hadOthers && running === 0)
    if (crashes === undefined || isTurnOfOthers || now < probationMs(this.#options.probationMs, crashes)) {
      this.#hadOthers = true
      this.#drainingSinceMs = undefined
      return { take: 'others', suspectsWait: crashes !== undefined && isTurnOfOthers }
    }
    this.#drainingSinceMs ??= now
    if (running > 0) return { take: 'nothing' }
    const callbacks = this.#groupSize(crashes)
    this.#group = { crashes, callbacks, claimedAtMs: now, ran: false }
    return { take: 'suspects', crashes, callbacks }
  }

  #groupSize(crashes: number): number {
    if (crashes >= this.#options.maxCrashes - 1) return 1
    return Math.min(MAX_GROUP, groupSize(crashes) * 2 ** this.#harmless)
  }
}

function isExclusive({ callbacks, claimedAtMs }: Group, now: number): boolean {
  return callbacks === 1 || now - claimedAtMs < MAX_EXCLUSIVE_MS
}
