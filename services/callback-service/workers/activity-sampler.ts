import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'

/** Takes a sample every `intervalMs`. After a standstill of the process it takes one, and not those that it missed. */
export function activitySampler(options: {
  readonly sample: () => void
  readonly intervalMs: number
  /** A monotonic clock. */
  readonly nowMs: () => number
  readonly logger: Logger
}): Loop {
  const { sample, intervalMs, nowMs, logger } = options
  let dueMs: number | undefined
  return new Loop({
    name: 'sample activity',
    logger,
    pass: async () => {
      const now = nowMs()
      if (dueMs !== undefined && now >= dueMs) sample()
      dueMs = nextAfter(now, dueMs ?? now, intervalMs)
      return dueMs - now
    },
  })
}

/** Samples stay on their beat, so that a late one does not delay all others. A timer may also end a little early. */
function nextAfter(now: number, dueMs: number, intervalMs: number): number {
  const next = now < dueMs ? dueMs : dueMs + intervalMs
  return next > now ? next : now + intervalMs
}
