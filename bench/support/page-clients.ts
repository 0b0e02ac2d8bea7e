import type { ServiceProcess } from '../../test/support/service-process.ts'
import { IdleListeners } from './stream-listeners.ts'

/** How often the page asks, as web/ does while it is visible. */
const ACTIVITY_MS = 1000
const TRAFFIC_MS = 5000

/**
 * Clients that ask for what open live pages ask for, and look at nothing, so that the machine pays for the answers alone. Each stands for a page on Now, one on
 * Callbacks and one on Senders at the same time.
 */
export class PageClients {
  readonly #streams = new IdleListeners()
  readonly #timers: NodeJS.Timeout[] = []
  readonly #asking = new Set<Promise<void>>()
  #failure: unknown

  /** Resolves when each has its first answers. */
  async open(service: ServiceProcess, count: number): Promise<void> {
    const { adminUrl } = service
    await this.#streams.open([{ url: adminUrl }], count)
    for (let i = 0; i < count; i += 1) {
      let cursor: string | undefined
      const activity = async (): Promise<void> => {
        cursor = (
          (await ask(`${adminUrl}/activity${cursor === undefined ? '' : `?after=${encodeURIComponent(cursor)}`}`)) as { cursor: string }
        ).cursor
      }
      await Promise.all([this.#repeat(activity, ACTIVITY_MS), this.#repeat(() => ask(`${adminUrl}/v1/traffic`), TRAFFIC_MS)])
    }
  }

  /** Resolves when nothing is asked any more. @throws {Error} an answer was missing */
  async close(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer)
    this.#streams.close()
    await Promise.all(this.#asking)
    if (this.#failure) throw this.#failure
  }

  async #repeat(work: () => Promise<unknown>, everyMs: number): Promise<void> {
    await work()
    const again = (): void => {
      const asking = work().then(
        () => undefined,
        error => {
          this.#failure ??= error
        },
      )
      this.#asking.add(asking)
      void asking.then(() => this.#asking.delete(asking))
    }
    this.#timers.push(setInterval(again, everyMs))
  }
}

async function ask(url: string): Promise<unknown> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return response.json()
}
