let aheadMs = 0

/** Learns from an answer that has just come what time it is at the service. */
export function learnTime(at: string, now = Date.now()): void {
  aheadMs = Date.parse(at) - now
}

/**
 * Returns the time by the clock that wrote the times of callbacks, in epoch milliseconds. The clock of this browser may differ from it by any time.
 * Until the service has answered, it is the time of the browser.
 */
export function serviceNow(now = Date.now()): number {
  return now + aheadMs
}
