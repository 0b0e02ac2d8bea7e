import { setTimeout as sleep } from 'node:timers/promises'
import { between, seededRandom } from '../../chaos/random.ts'

interface Lease {
  readonly location: string
  readonly objects: string
  readonly object_ids: readonly number[]
}

/** Leases that it works on at a time. */
const AT_A_TIME = 4

/** An agent that makes up its objects, so that a page has something to show. */
export class PlayingAgent {
  readonly #url: string
  readonly #poll: string
  readonly #random: () => number
  /** Resolves when it has stopped. */
  end: Promise<unknown> = Promise.resolve()

  private constructor(url: string, poll: string, seed: number) {
    this.#url = url
    this.#poll = poll
    this.#random = seededRandom(seed)
  }

  /** Makes the agent at the service. @param members what `POST /v1/agents` takes */
  static async make(url: string, workspace: string, members: object, seed: number): Promise<PlayingAgent> {
    const { id } = (await ask('POST', `${url}/v1/agents?workspace_id=${workspace}`, members)) as { id: string }
    return new PlayingAgent(url, `/v1/agents/${id}/leases?workspace_id=${workspace}`, seed)
  }

  /** Works until the signal. */
  work(signal: AbortSignal): void {
    this.end = Promise.all(Array.from({ length: AT_A_TIME }, () => this.#loop(signal)))
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const answer = (await ask('POST', this.#url + this.#poll, { wait_seconds: 2, version: '1.0.0' })) as { items: Lease[] } | undefined
      for (const lease of answer?.items ?? []) await this.#finish(lease)
    }
  }

  async #finish({ location, objects, object_ids: ids }: Lease): Promise<void> {
    for (const id of ids) {
      await sleep(between(this.#random, 200, 900))
      await ask('PUT', this.#url + objects, { objects: [{ id, online: this.#random() < 0.8 }] })
    }
    await ask('PATCH', this.#url + location, { state: 'completed' })
  }
}

async function ask(method: string, url: string, body: object): Promise<unknown> {
  const response = await fetch(url, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  // A lease that lapsed on a busy machine is part of the picture.
  if (!response.ok && response.status !== 410) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  return response.status === 204 ? undefined : response.json()
}
