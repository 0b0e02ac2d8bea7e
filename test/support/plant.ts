import assert from 'node:assert/strict'
import type { CallbackAnswer } from './callbacks.ts'
import { until } from './eventually.ts'

/** The part of a lease that the tests use. */
export interface Lease {
  /** Path of the lease. */
  readonly location: string
  /** Path to which objects are delivered. */
  readonly objects: string
  readonly object_ids: readonly number[]
  readonly attempt: number
  readonly expires_in_seconds: number
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The code of a problem. */
  readonly code: string | undefined
}

interface Poll {
  readonly wait_seconds?: number
  readonly max_callbacks?: number
  readonly max_objects?: number
}

const WORKSPACES = '/v1/workspaces'

/**
 * The workspace `plant`, whose objects agents fetch, as its senders, its operators and its agents see it. Access is open. A request goes to `url`,
 * which tests change when they stop a replica.
 */
export class Plant {
  url: string

  constructor(url: string) {
    this.url = url
  }

  /** Makes the workspace. */
  static async open(url: string): Promise<Plant> {
    const plant = new Plant(url)
    await plant.#expect(201, 'POST', WORKSPACES, { name: 'plant', fetcher: 'agents' })
    return plant
  }

  /** Makes an agent. @returns its id, and its key */
  async newAgent(name: string): Promise<{ id: string; key: string }> {
    return JSON.parse((await this.#expect(201, 'POST', '/v1/agents', { name, max_leases: 1000 })).text) as { id: string; key: string }
  }

  /** Sends a callback that must be accepted. @returns its id */
  async accept(objectIds: readonly number[]): Promise<string> {
    return (JSON.parse((await this.#expect(202, 'POST', '/callback', { object_ids: objectIds })).text) as CallbackAnswer).id
  }

  async callback(id: string): Promise<CallbackAnswer> {
    return JSON.parse((await this.#expect(200, 'GET', `/v1/callbacks/${id}`)).text) as CallbackAnswer
  }

  finished(id: string, timeoutMs?: number): Promise<CallbackAnswer> {
    return until(async () => {
      const callback = await this.callback(id)
      return ['completed', 'failed'].includes(callback.state) ? callback : undefined
    }, timeoutMs)
  }

  /** Asks for leases. The answer is 201, 204 or a problem. */
  poll(agentId: string, poll: Poll = {}, signal?: AbortSignal): Promise<Answer> {
    return this.ask('POST', `/v1/agents/${agentId}/leases`, poll, signal)
  }

  /** Asks for one lease, which there must be within ten seconds. */
  async lease(agentId: string): Promise<Lease> {
    const [lease, ...more] = (
      JSON.parse((await this.#expect(201, 'POST', `/v1/agents/${agentId}/leases`, { wait_seconds: 10 })).text) as { items: Lease[] }
    ).items
    assert.ok(lease && more.length === 0, 'one lease')
    return lease
  }

  /** Delivers objects: those that the lease wants, or the given ones. */
  deliver({ objects, object_ids }: Lease, ids: readonly number[] = object_ids, online = true): Promise<Answer> {
    return this.ask('PUT', objects, { objects: ids.map(id => ({ id, online })) })
  }

  /** Extends the lease, gives it back, or finishes it. */
  patch({ location }: Lease, change: object): Promise<Answer> {
    return this.ask('PATCH', location, change)
  }

  /** Sends a request about the workspace. */
  async ask(method: string, path: string, body?: object, signal?: AbortSignal): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...(path !== WORKSPACES && { 'x-workspace': 'plant' }), ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    })
    const text = await response.text()
    const code = response.headers.get('content-type')?.startsWith('application/problem+json') ? JSON.parse(text).code : undefined
    return { status: response.status, headers: response.headers, text, code }
  }

  async #expect(status: number, method: string, path: string, body?: object): Promise<Answer> {
    const answer = await this.ask(method, path, body)
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`)
    return answer
  }
}
