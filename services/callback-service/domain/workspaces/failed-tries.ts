const WINDOW_MS = 60_000
/** Networks to remember. A stranger who uses more of them makes the service forget the one that was quiet for longest. */
const MAX_NETWORKS = 10_000

/**
 * Counts the keys that nobody has, for each network address, within one sliding minute. An IPv6 network is a /64, because one machine can use
 * all addresses of it.
 */
export class FailedTries {
  readonly #max: number
  readonly #nowMs: () => number
  /** When each network failed, oldest first. The network that failed last is the last one. */
  readonly #times = new Map<string, number[]>()

  /** @param options.max tries in a minute. @param options.nowMs a monotonic clock */
  constructor({ max, nowMs }: { readonly max: number; readonly nowMs: () => number }) {
    this.#max = max
    this.#nowMs = nowMs
  }

  /** Counts a try before its outcome is known, so that many at once count too. @returns 0, or milliseconds until the next try is allowed */
  begin(address: string): number {
    const now = this.#nowMs()
    const network = networkOf(address)
    const recent = (this.#times.get(network) ?? []).filter(time => time > now - WINDOW_MS)
    if (recent.length >= this.#max) return Math.max(1, (recent[0] as number) + WINDOW_MS - now)
    recent.push(now)
    this.#times.delete(network)
    this.#times.set(network, recent)
    if (this.#times.size > MAX_NETWORKS) this.#times.delete(this.#times.keys().next().value as string)
    return 0
  }

  /** Takes back a try that was no failure. */
  forgive(address: string): void {
    this.#times.get(networkOf(address))?.pop()
  }
}

/** The first 64 bits of an IPv6 address; an IPv4 address, even one written as IPv6, as it is. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address
  const [head = '', tail] = (address.split('%')[0] as string).split('::')
  const before = head.split(':').filter(Boolean)
  const after = tail?.split(':').filter(Boolean) ?? []
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0')
  return [...before, ...zeros, ...after].slice(0, 4).join(':')
}
