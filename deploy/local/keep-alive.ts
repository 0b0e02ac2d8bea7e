import { setTimeout as sleep } from 'node:timers/promises'
import { SetupError } from './setup-error.ts'

const LIMITS = { maxRestarts: 5, windowMs: 60_000, longEnoughMs: 10_000, delayMs: 1000 }

export interface KeptAlive {
  readonly name: string
  /** Resolves with the reason when the current run has ended. */
  readonly ended: () => Promise<string>
  readonly restart: () => Promise<void> | void
  /** Whether the end was requested. A requested end causes no restart. */
  readonly isStopping: () => boolean
  readonly say: (line: string) => void
  /** Called when it has ended too often or does not start again. It then stays down. */
  readonly onGivenUp: (error: SetupError) => void
}

/**
 * Restarts something whenever it dies: at once if it had run for 10 s, otherwise after a second. Gives up after five restarts in a minute.
 * Resolves when it is stopping or has given up. Never throws.
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
      kept.onGivenUp(new SetupError('service_failed', `${kept.name} keeps ending (${end}): not restarting it`))
      return
    }
    const delayMs = now - startedAt < limits.longEnoughMs ? limits.delayMs : 0
    kept.say(`${kept.name} ended unexpectedly (${end}): restarting it${delayMs > 0 ? ` in ${delayMs / 1000} s` : ''}`)
    await sleep(delayMs)
    if (kept.isStopping()) return
    try {
      await kept.restart()
    } catch (error) {
      if (!kept.isStopping())
        kept.onGivenUp(new SetupError('service_failed', `${kept.name} cannot be restarted: ${error}`, { cause: error }))
      return
    }
  }
}
