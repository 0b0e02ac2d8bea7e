import type { Part } from '#foundation/lifecycle/parts.ts'
import { FetchError } from '../../domain/fetching/fetched-object.ts'
import type { ObjectClient } from './object-client.ts'

export interface ObjectClientsOptions {
  /** Makes the client for a URL. */
  readonly make: (url: string) => ObjectClient
  /** Maximum number of clients at a time. */
  readonly max: number
}

/**
 * The clients of all client services, one for each URL, made at first use. A URL that no workspace uses any more loses its client with
 * `keepOnly`. Two spellings of one URL share a client.
 */
export class ObjectClients implements Part {
  readonly name = 'object clients'
  readonly #options: ObjectClientsOptions
  readonly #clients = new Map<string, ObjectClient>()
  /** Clients that finish their requests. */
  readonly #retiring = new Set<ObjectClient>()

  constructor(options: ObjectClientsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#clients.size
  }

  /**
   * Returns the client for a client service. Ask for each fetch, because `keepOnly` retires clients.
   * @throws {FetchError} `too_many_client_services` (retryable): there are `max` clients for other URLs
   */
  of(url: string): ObjectClient {
    // Most URLs are already written in this way. This runs for each fetch, and parsing takes longer than everything else here.
    const known = this.#clients.get(url)
    if (known) return known
    const address = addressOf(url)
    const client = this.#clients.get(address)
    if (client) return client
    if (this.#clients.size >= this.#options.max)
      throw new FetchError('too_many_client_services', { isRetryable: true, isHostTrouble: true })
    const made = this.#options.make(url)
    this.#clients.set(address, made)
    return made
  }

  /** Retires the clients of all other URLs: they finish the requests under way, and begin no more. */
  keepOnly(urls: Iterable<string>): void {
    const used = new Set(Array.from(urls, addressOf))
    for (const [address, client] of this.#clients) {
      if (used.has(address)) continue
      this.#clients.delete(address)
      this.#retiring.add(client)
      void client.retire().finally(() => this.#retiring.delete(client))
    }
  }

  /** Ends all requests under way. They fail with the reason `connection`. */
  async stop(): Promise<void> {
    await Promise.all([...this.#clients.values(), ...this.#retiring].map(client => client.stop()))
  }
}

/** One text for all spellings of a URL that lead to the same objects. Its path has no slash at the end. */
function addressOf(url: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname.replace(/\/+$/, '')}`
}
