import { setTimeout as sleep } from 'node:timers/promises'
import { SetupError } from './setup-error.ts'

const LIMITS = { maxRestarts: 5, windowMs: 60_000, longEnoughMs: 10_000, delayMs: 1000 }

export interface KeptAlive {
  readonly name: string
  /** Resolves when the life under way has ended, with how. */
  readonly ended: () => Promise<string>
  readonly restart: () => Promise<void> | void
  /** An end that was asked for is no accident. */
  readonly isStopping: () => boolean
  readonly say: (line: string) => void
  /** It died too often, or does not start again, and stays down. */
  readonly onGivenUp: (error: SetupError) => void
}

/**
 * Starts something anew whenever it dies: at once if it had run for 10 s, else after a second; five times a minute, then no more.
 * Resolves when it is stopping or given up; never throws.
 */
export async function keepAlive(kept: KeptAlive, limits: typeof LIMITS = LIMITS): Promise<void> {
  const deaths: number[] = []
  for (;;) {
    const startedAt = performance.now()
    const end = await kept.ended()
    if (kept.isStopping()) return
    const now = performance.now()
    deaths.push(now)
    if (deaths.filter(time => time > now - limits.windowMs).length > limits.maxRestarts) {
      kept.onGivenUp(new SetupError('service_failed', `${kept.name} ends again and again (${end}): given up`))
      return
    }
    const delayMs = now - startedAt < limits.longEnoughMs ? limits.delayMs : 0
    kept.say(`${kept.name} ended unexpectedly (${end}): starting it anew${delayMs > 0 ? ` in ${delayMs / 1000} s` : ''}`)
    await sleep(delayMs)
    if (kept.isStopping()) return
    try {
      await kept.restart()
    } catch (error) {
      if (!kept.isStopping())
        kept.onGivenUp(new SetupError('service_failed', `${kept.name} does not start again: ${error}`, { cause: error }))
      return
    }
  }
}
