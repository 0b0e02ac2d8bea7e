let offsetMs = 0

/** Measures how far the clock of the browser is off. @param at the service's time of now, RFC 3339 */
export function setServiceTime(at: string): void {
  const measuredMs = Date.parse(at) - Date.now()
  // An answer takes a while. Ages would flicker if they followed that.
  if (Math.abs(measuredMs - offsetMs) > 1000) offsetMs = measuredMs
}

/** Returns the time by the clock of the service, epoch milliseconds: ages of what it says are true also where the browser's clock is wrong. */
export function serviceNow(): number {
  return Date.now() + offsetMs
}
