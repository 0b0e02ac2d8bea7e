/**
 * Finds the callback that kills its worker, without failing innocent ones. Whatever ran when a worker was lost may be what killed it.
 * After the first two crashes it is tried again like any other: most crashes are nobody's fault. From the third one on it is a suspect:
 * suspects are worked on in ever smaller groups, by a process that does nothing else meanwhile and has lived for a while before.
 * In a crash loop that has another cause no process lives that long, so nobody is blamed for it.
 */
export const SUSPECT_CRASHES = 3

/** Callbacks worked on at once, by the crashes they were in. Those in more crashes are worked on alone. */
const GROUP_SIZES: Readonly<Record<number, number>> = { [SUSPECT_CRASHES]: 16, [SUSPECT_CRASHES + 1]: 4 }

/** The fewest crashes that show who is guilty: the last one happened to a callback that ran alone. */
export const MIN_GUILTY_CRASHES = SUSPECT_CRASHES + 3

/** How many suspects with this many crashes may run together. */
export function groupSize(crashes: number): number {
  return GROUP_SIZES[crashes] ?? 1
}

const MAX_DOUBLINGS = 4
/** A group keeps the process to itself no longer than this: hanging objects are no crime. Whoever is alone has all the time it needs. */
const MAX_EXCLUSIVE_MS = 5000

/** How long a process must have lived before it works on suspects: twice as long for each further crash, up to 16 times. */
function probationMs(baseMs: number, crashes: number): number {
  return baseMs * 2 ** Math.min(MAX_DOUBLINGS, crashes - SUSPECT_CRASHES)
}

/** What a worker is to claim next: anything but suspects, a group of suspects, or nothing until what runs has ended. */
export type Turn =
  | { readonly take: 'others' }
  | { readonly take: 'suspects'; readonly crashes: number; readonly callbacks: number }
  | { readonly take: 'nothing' }

/**
 * Keeps suspects apart from everything else in this process. After each group, everything else has as much time as the group took, draining
 * included, unless there is nothing else.
 */
export class Isolation {
  readonly #options: { readonly probationMs: number; readonly ageMs: () => number }
  #suspects: number | undefined
  /** When the process stopped claiming anything else. */
  #drainingSinceMs: number | undefined
  /** The group that was claimed last, while nothing else is. */
  #group: { readonly crashes: number; readonly claimedAtMs: number } | undefined
  #othersUntilMs = 0
  #hadOthers = true

  /** @param options.ageMs how long this process has lived; monotonic */
  constructor(options: { readonly probationMs: number; readonly ageMs: () => number }) {
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
      if (running > 0 && this.#isExclusive(this.#group, now)) return { take: 'nothing' }
      // The group is done, took too long, or another worker took it. Whether there are more shows with the next look.
      this.#othersUntilMs = now + (now - (this.#drainingSinceMs ?? now))
      this.#group = undefined
      this.#drainingSinceMs = undefined
      this.#suspects = undefined
      this.#hadOthers = false
    }
    const crashes = this.#suspects
    const isTurnOfOthers = now < this.#othersUntilMs && !(this.#hadOthers && running === 0)
    if (crashes === undefined || isTurnOfOthers || now < probationMs(this.#options.probationMs, crashes)) {
      this.#hadOthers = true
      this.#drainingSinceMs = undefined
      return { take: 'others' }
    }
    this.#drainingSinceMs ??= now
    if (running > 0) return { take: 'nothing' }
    this.#group = { crashes, claimedAtMs: now }
    return { take: 'suspects', crashes, callbacks: groupSize(crashes) }
  }

  #isExclusive({ crashes, claimedAtMs }: { readonly crashes: number; readonly claimedAtMs: number }, now: number): boolean {
    return groupSize(crashes) === 1 || now - claimedAtMs < MAX_EXCLUSIVE_MS
  }
}
