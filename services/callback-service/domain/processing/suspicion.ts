/**
 * The number of crashes after which a callback is a suspect. This file finds the callback that kills its worker, without failing innocent
 * ones.
 *
 * Every callback that ran when a worker was lost may have killed it. After the first two crashes it is tried again like any other, because
 * callbacks cause few crashes. From the third crash on it is a suspect. A process works on suspects in ever smaller groups, does nothing
 * else meanwhile, and starts only after it has lived for a while. After a group without a crash, the next group may be twice as large. A
 * callback that the next crash would condemn runs alone. In a crash loop with another cause no process lives long enough, so no callback is
 * blamed.
 */
export const SUSPECT_CRASHES = 3

/** How many suspects run at once, by their number of crashes. A suspect with more crashes runs alone. */
const GROUP_SIZES: Readonly<Record<number, number>> = { [SUSPECT_CRASHES]: 16, [SUSPECT_CRASHES + 1]: 4 }

/** The minimum number of crashes that proves which callback is guilty, because it ran alone in the last one. */
export const MIN_GUILTY_CRASHES = SUSPECT_CRASHES + 3

/** How many suspects with this many crashes may run together at first. */
export function groupSize(crashes: number): number {
  return GROUP_SIZES[crashes] ?? 1
}

const MAX_GROUP = 16
const MAX_DOUBLINGS = 4
/** Maximum time a group has the process to itself, because its objects may only be slow. A callback that runs alone has no such limit. */
const MAX_EXCLUSIVE_MS = 5000

/** How long a process must have lived before it works on suspects: twice as long for each further crash, at most 16 times as long. */
function probationMs(baseMs: number, crashes: number): number {
  return baseMs * 2 ** Math.min(MAX_DOUBLINGS, crashes - SUSPECT_CRASHES)
}

/**
 * What a worker claims next: `others` is anything but suspects, `suspects` is one group of them. `nothing` lasts until the running
 * callbacks have ended. If `suspectsWait`, the worker claims suspects as soon as it finds no others.
 */
export type Turn =
  | { readonly take: 'others'; readonly suspectsWait: boolean }
  | { readonly take: 'suspects'; readonly crashes: number; readonly callbacks: number }
  | { readonly take: 'nothing' }

export interface IsolationOptions {
  readonly probationMs: number
  /** Number of crashes that condemns a callback. */
  readonly maxCrashes: number
  /** How long this process has lived, by a monotonic clock. */
  readonly ageMs: () => number
}

/** Suspects that a worker claims together. */
interface Group {
  readonly crashes: number
  readonly callbacks: number
  readonly claimedAtMs: number
  /** Whether the worker has run any of them. */
  ran: boolean
}

/**
 * Keeps suspects apart from all other callbacks in this process. After each group, the other callbacks get as much time as the group took,
 * including the wait for the process to become idle. If there are no others, the next group starts at once.
 */
export class Isolation {
  readonly #options: IsolationOptions
  #suspects: number | undefined
  /** When the process stopped claiming other callbacks. */
  #drainingSinceMs: number | undefined
  /** The current group; undefined while the process claims other callbacks. */
  #group: Group | undefined
  /** Groups that ended without a crash. */
  #harmless = 0
  #othersUntilMs = 0
  #hadOthers = true

  constructor(options: IsolationOptions) {
    this.#options = options
  }

  /** @param crashes the fewest crashes of a suspect that is due; undefined if none is due */
  noteSuspects(crashes: number | undefined): void {
    this.#suspects = crashes
  }

  /** Decides what to claim now. @param running number of callbacks that this worker works on */
  turn(running: number): Turn {
    const now = this.#options.ageMs()
    if (this.#group) {
      if (running > 0) this.#group.ran = true
      if (running > 0 && isExclusive(this.#group, now)) return { take: 'nothing' }
      if (running === 0 && this.#group.ran) this.#harmless += 1
      // The group took too long, or another worker took it. The next look at the database shows whether there are more suspects.
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
