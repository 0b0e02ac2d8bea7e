import type { Part } from '#foundation/lifecycle/parts.ts'

const TIMEOUT_MS = 1000

/** The metrics of the callback service that the summary reads. It sums a counter over all labels that are not named here. */
const METRICS = {
  accepted: 'callbacks_received_total{outcome="accepted"}',
  inFlight: 'fetches_in_flight',
  stored: 'objects_stored_total',
  live: 'objects_live',
  expired: 'objects_expired_total',
  backlog: 'callbacks_backlog',
} as const

export type Numbers = Readonly<Record<keyof typeof METRICS, number>>

/** Prints a line every few seconds with what happened since the start. It counts across restarts of the callback service. */
export class Summary implements Part {
  readonly name = 'summary'
  readonly #options: { readonly metricsUrl: string; readonly intervalMs: number; readonly say: (line: string) => void }
  #timer: NodeJS.Timeout | undefined
  #last: Numbers | undefined
  #totals = { accepted: 0, stored: 0, expired: 0 }

  constructor(options: { metricsUrl: string; intervalMs: number; say: (line: string) => void }) {
    this.#options = options
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#pass(), this.#options.intervalMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #pass(): Promise<void> {
    const now = await readNumbers(this.#options.metricsUrl)
    // If the metrics cannot be read, another line reports the restart.
    if (!now || !this.#timer) return
    const before = this.#totals
    this.#totals = {
      accepted: before.accepted + increase(this.#last?.accepted, now.accepted),
      stored: before.stored + increase(this.#last?.stored, now.stored),
      expired: before.expired + increase(this.#last?.expired, now.expired),
    }
    this.#last = now
    this.#options.say(summaryLine({ ...now, ...this.#totals }, before))
  }
}

/** @param before the totals of the previous line, for the increases in brackets */
export function summaryLine(now: Numbers, before: Pick<Numbers, 'accepted' | 'stored' | 'expired'>): string {
  const total = (name: keyof typeof before): string => `${name} ${now[name]} (+${now[name] - before[name]})`
  return [
    total('accepted'),
    `in flight ${now.inFlight}`,
    total('stored'),
    `live ${now.live}`,
    total('expired'),
    `backlog ${now.backlog}`,
  ].join(' · ')
}

/** A counter that is lower than before belongs to a process that has restarted. */
function increase(before: number | undefined, now: number): number {
  return before === undefined || now < before ? now : now - before
}

/** Reads our numbers from the Prometheus text format. A missing number is 0. */
export function parseNumbers(text: string): Numbers {
  const lines = text.split('\n')
  const read = (series: string): number => {
    const starts = series.endsWith('}') ? [`${series} `, series.replace('}', ',')] : [`${series} `, `${series}{`]
    const own = lines.filter(line => starts.some(start => line.startsWith(start)))
    return own.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }
  return Object.fromEntries(Object.entries(METRICS).map(([name, series]) => [name, read(series)])) as Numbers
}

async function readNumbers(url: string): Promise<Numbers | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    return parseNumbers(await response.text())
  } catch {
    return undefined
  }
}
