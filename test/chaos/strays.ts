import { setTimeout as sleep } from 'node:timers/promises'
import type { Access } from './access.ts'
import { agentsPath } from './agents.ts'
import { STRAY_REASON } from './lease-checker.ts'

interface Lease {
  readonly location: string
  readonly objects: string
  readonly object_ids: readonly number[]
  readonly expires_in_seconds: number
}

interface StraysOptions {
  readonly urls: () => readonly (string | undefined)[]
  readonly access: Access
}

/** How the leases are lost: they run out, or somebody takes the callbacks away. */
export type Loss = 'by time' | 'by hand'

const MAX_CALLBACKS = 4
const TIMEOUT_MS = 3000
/** Time for which a stray goes on, and its pause between two rounds. */
const LIES_MS = 1500
const PAUSE_MS = 100
/** Time after the end of a lease in which no clock and no request of ours can still make it live. */
const MARGIN_MS = 300

/**
 * An agent that leases callbacks, delivers a part, and loses its leases. Then it reports lies about them to one replica after the other. It
 * records each lie that was not answered with 410.
 */
export class Strays {
  readonly believed: string[] = []
  readonly #options: StraysOptions
  readonly #agent: { readonly id: string; readonly key: string }
  /** Number of rounds of lies so far. Each goes to the next replica. */
  #turn = 0

  private constructor(options: StraysOptions, agent: { readonly id: string; readonly key: string }) {
    this.#options = options
    this.#agent = agent
  }

  static async start(options: StraysOptions): Promise<Strays> {
    return new Strays(options, await options.access.newAgent('stray'))
  }

  /** @returns false if there was nothing to lease */
  async stray(loss: Loss): Promise<boolean> {
    const leases = await this.#lease()
    if (leases.length === 0) return false
    for (const { objects, object_ids: ids } of leases) {
      const half = ids.slice(0, Math.floor(ids.length / 2))
      if (half.length > 0) await this.#send('PUT', objects, { objects: half.map(id => ({ id, online: isOnline(id) })) })
    }
    if (loss === 'by time') await sleep(Math.max(...leases.map(lease => lease.expires_in_seconds)) * 1000 + MARGIN_MS)
    else await this.#loseAll()
    // Meanwhile other agents lease the callbacks, so that the lies meet every state that a callback can be in.
    for (const end = performance.now() + LIES_MS; performance.now() < end; await sleep(PAUSE_MS)) {
      for (const lease of leases) await this.#lie(lease)
    }
    return true
  }

  async #lease(): Promise<readonly Lease[]> {
    const answer = await this.#send('POST', `/v1/agents/${this.#agent.id}/leases`, { wait_seconds: 1, max_callbacks: MAX_CALLBACKS })
    return answer?.status === 201 ? (JSON.parse(answer.text) as { items: Lease[] }).items : []
  }

  async #loseAll(): Promise<void> {
    const { access } = this.#options
    const mine = `/v1/agents/${this.#agent.id}/callbacks`
    const { items } = (await access.ask('GET', agentsPath(`${mine}?limit=100`))) as { items: { id: string }[] }
    for (const { id } of items) await access.ask('DELETE', agentsPath(`${mine}/${id}`))
  }

  async #lie({ location, objects, object_ids: ids }: Lease): Promise<void> {
    const failed = ids.map(id => ({ id, outcome: 'failed', reason: STRAY_REASON }))
    const lies = [
      ['PUT', objects, { objects: ids.map(id => ({ id, online: !isOnline(id) })) }],
      ['PATCH', location, { state: 'completed', unstored: failed }],
      ['PATCH', location, { state: 'failed', reason: STRAY_REASON, unstored: failed }],
      ['PATCH', location, { extend_seconds: 60 }],
    ] as const
    const replica = this.#turn % this.#options.urls().length
    this.#turn += 1
    for (const [method, path, body] of lies) {
      const answer = await this.#send(method, path, body, replica)
      if (answer && answer.status !== 410 && answer.status < 500)
        this.believed.push(`${method} ${path} ${JSON.stringify(body)} was answered ${answer.status} by replica ${replica}`)
    }
  }

  /** @returns undefined if there was no answer */
  async #send(method: string, path: string, body: object, replica = 0): Promise<{ status: number; text: string } | undefined> {
    try {
      const response = await fetch(`${this.#options.urls()[replica]}${path}`, {
        method,
        headers: { 'x-api-key': this.#agent.key, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      return { status: response.status, text: await response.text() }
    } catch {
      // A replica may be down or hang. What it has done unseen, the database shows.
      return undefined
    }
  }
}

/** The truth of the client service. */
function isOnline(id: number): boolean {
  return id % 2 === 0
}
