/**
 * Finds the callback that kills its worker, without failing innocent ones. Whatever ran when a worker was lost may be what killed it.
 * After the first crash it is tried again like any other: most crashes are nobody's fault. From the second one on it is a suspect:
 * suspects are worked on in ever smaller groups, by a process that does nothing else meanwhile and has lived for a while before.
 * In a crash loop that has another cause no process lives that long, so nobody is blamed for it.
 */
export const SUSPECT_CRASHES = 2

/** Callbacks worked on at once, by the crashes they were in. Those in more crashes are worked on alone. */
const GROUP_SIZES: Readonly<Record<number, number>> = { [SUSPECT_CRASHES]: 16, [SUSPECT_CRASHES + 1]: 4 }

/** The fewest crashes that show who is guilty: the last one happened to a callback that ran alone. */
export const MIN_GUILTY_CRASHES = SUSPECT_CRASHES + 3

/** How many suspects with this many crashes may run together. */
export function groupSize(crashes: number): number {
  return GROUP_SIZES[crashes] ?? 1
}

/** How long a process must have lived before it works on suspects: twice as long for each further crash. */
function probationMs(baseMs: number, crashes: number): number {
  return baseMs * 2 ** (crashes - SUSPECT_CRASHES)
}

/** What a worker is to claim next: anything but suspects, a group of suspects, or nothing until what runs has ended. */
export type Turn =
  | { readonly take: 'others' }
  | { readonly take: 'suspects'; readonly crashes: number; readonly callbacks: number }
  | { readonly take: 'nothing' }

/** Keeps suspects apart from everything else in this process. After each group, everything else has its turn. */
export class Isolation {
  readonly #options: { readonly probationMs: number; readonly ageMs: () => number }
  #suspects: number | undefined
  /** Whether the last thing claimed was a group of suspects. */
  #isRunning = false

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
    if (this.#isRunning) {
      if (running > 0) return { take: 'nothing' }
      // The group is done, or another worker took it. Whether there are more shows with the next look.
      this.#isRunning = false
      this.#suspects = undefined
      return { take: 'others' }
    }
    const crashes = this.#suspects
    if (crashes === undefined || this.#options.ageMs() < probationMs(this.#options.probationMs, crashes)) return { take: 'others' }
    if (running > 0) return { take: 'nothing' }
    this.#isRunning = true
    return { take: 'suspects', crashes, callbacks: groupSize(crashes) }
  }
}
