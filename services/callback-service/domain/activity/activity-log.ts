import type { COUNTED, Gauges, Sample } from './sample.ts'
import type { Samples } from './samples.ts'
import type { Tallied, Tally } from './tally.ts'

const MINUTE_MS = 60_000

export interface ActivityLogOptions {
  readonly tally: Pick<Tally, 'take'>
  readonly gauges: () => Gauges
  readonly samples: Pick<Samples, 'add'>
  /** A monotonic clock. */
  readonly nowMs: () => number
  /** The clock of the machine, in epoch milliseconds. */
  readonly clockMs: () => number
}

/** The requests to client services that ended within the last minute. */
export interface FetchMinute {
  readonly answered: number
  readonly failed: number
  /** Undefined without any. */
  readonly meanMs: number | undefined
}

/**
 * Turns what was counted since the last sample into a sample of rates. It divides by the time that has really passed, so a process that stood
 * still reports no burst.
 */
export class ActivityLog {
  readonly #options: ActivityLogOptions
  #sampledAtMs: number
  /** What the samples of the last minute counted, oldest first. */
  readonly #minute: { readonly atMs: number; readonly tallied: Tallied }[] = []

  constructor(options: ActivityLogOptions) {
    this.#options = options
    this.#sampledAtMs = options.nowMs()
  }

  /** Takes a sample. Two calls in the same millisecond take one. */
  sample(): void {
    const { tally, gauges, samples, nowMs, clockMs } = this.#options
    const now = nowMs()
    const elapsedMs = now - this.#sampledAtMs
    if (elapsedMs < 1) return
    this.#sampledAtMs = now
    const tallied = tally.take()
    this.#minute.push({ atMs: now, tallied })
    while (this.#minute[0] && this.#minute[0].atMs <= now - MINUTE_MS) this.#minute.shift()
    samples.add({ ...ratesOf(tallied, elapsedMs), ...tallied.times, ...gauges() }, { elapsedMs, clockMs: clockMs() })
  }

  get fetchesOfLastMinute(): FetchMinute {
    const [answered, failed] = [this.#sum(one => one.fetches_done), this.#sum(one => one.fetches_failed)]
    const ended = answered + failed
    return { answered, failed, meanMs: ended === 0 ? undefined : (this.#sum(one => one.fetchSeconds) / ended) * 1000 }
  }

  /** Leases of agents that this process saw lapse within the last minute. */
  get lapsedInLastMinute(): number {
    return this.#sum(one => one.lapsed)
  }

  #sum(read: (tallied: Tallied) => number): number {
    return this.#minute.reduce((total, { tallied }) => total + read(tallied), 0)
  }
}

function ratesOf(tallied: Tallied, elapsedMs: number): Pick<Sample, (typeof COUNTED)[number]> {
  const rate = (count: number): number => count / (elapsedMs / 1000)
  return {
    accepted: rate(tallied.accepted),
    completed: rate(tallied.completed),
    failed: rate(tallied.failed),
    spooled: rate(tallied.spooled),
    fetches_done: rate(tallied.fetches_done),
    fetches_failed: rate(tallied.fetches_failed),
  }
}
