import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

import { DAY_MS, type Interval } from './ledger-checker.ts'

/** The workspace whose objects agents fetch. */
export const AGENTS_WORKSPACE = 'plant'

/** The workspaces of a run, whose senders take turns. */
export const WORKSPACES = ['default', 'shop', 'depot', AGENTS_WORKSPACE] as const

interface Key {
  readonly href: string
  readonly key: string
}

const RETRY_MS = 100
/** Longest time to try. No fault lasts longer. */
const GIVE_UP_MS = 15_000
/** Number of callbacks of each workspace that the other workspaces try to read. */
const SPIED_ON = 20

/** The keys of the senders, and the superuser who makes and revokes them while the system has faults. */
export class Access {
  readonly superuserKey = `superuser-${randomBytes(32).toString('hex')}`
  readonly #urls: () => readonly (string | undefined)[]
  readonly #keys = new Map<string, Key>()
  readonly #revoked: { readonly workspace: string; readonly key: string }[] = []

  /** @param urls the URLs of the replicas now; undefined for a replica that is down */
  constructor(urls: () => readonly (string | undefined)[]) {
    this.#urls = urls
  }

  /** Makes the workspaces and their first keys. @param depotUrl URL of the client service that `depot` has for itself */
  async open(depotUrl: string): Promise<void> {
    for (const name of WORKSPACES.slice(1))
      await this.ask('POST', '/v1/workspaces', {
        name,
        client_service_url: name === 'depot' ? depotUrl : null,
        fetcher: name === AGENTS_WORKSPACE ? 'agents' : 'service',
      })
    for (const workspace of WORKSPACES) this.#keys.set(workspace, await this.#newKey(workspace))
  }

  /** Makes an agent of the workspace that agents work for. @returns its id, and its key */
  async newAgent(name: string): Promise<{ readonly id: string; readonly key: string }> {
    return (await this.ask('POST', `/v1/agents?workspace_id=${AGENTS_WORKSPACE}`, { name, max_leases: 50 })) as { id: string; key: string }
  }

  /** The key with which the senders of a workspace send now. */
  keyOf(workspace: string): string {
    return (this.#keys.get(workspace) as Key).key
  }

  /** Gives the senders of a workspace a new key, and then revokes their old one. @throws {Error} no replica does it in time */
  async rotate(workspace: string): Promise<void> {
    const old = this.#keys.get(workspace) as Key
    this.#keys.set(workspace, await this.#newKey(workspace))
    await this.ask('DELETE', old.href)
    this.#revoked.push({ workspace, key: old.key })
  }

  /** Sends a callback with each revoked key to each replica. @returns the answers that are not 401 */
  async admitted(): Promise<string[]> {
    const found: string[] = []
    for (const url of this.#urls()) {
      for (const { workspace, key } of this.#revoked) {
        const { status } = await send(url, 'POST', '/callback', key, { object_ids: [1] })
        if (status !== 401) found.push(`a revoked key of ${workspace} got ${status} from ${url}`)
      }
    }
    return found
  }

  /** Reads callbacks of each workspace with the keys of the others. @returns the answers that are not 404 */
  async leaked(idsOf: (workspace: string) => readonly string[]): Promise<string[]> {
    const [url] = this.#urls()
    const found: string[] = []
    for (const owner of WORKSPACES) {
      for (const id of idsOf(owner).slice(0, SPIED_ON)) {
        for (const spy of WORKSPACES.filter(name => name !== owner)) {
          const { status } = await send(url, 'GET', `/v1/callbacks/${id}`, this.keyOf(spy))
          if (status !== 404) found.push(`${spy} got ${status} for callback ${id} of ${owner}`)
        }
      }
    }
    return found
  }

  /** Reads the ledger of each workspace by the minute. @param days the days to read, in epoch milliseconds */
  async ledger(days: readonly number[]): Promise<Interval[]> {
    const found: Interval[] = []
    for (const workspace of WORKSPACES) {
      for (const day of days) {
        const span = new URLSearchParams({
          from: new Date(day).toISOString(),
          to: new Date(day + DAY_MS).toISOString(),
          workspace_id: workspace,
        })
        const { intervals } = (await this.ask('GET', `/v1/ledger?${span}`)) as { intervals: Omit<Interval, 'workspace'>[] }
        found.push(...intervals.map(interval => ({ ...interval, workspace })))
      }
    }
    return found
  }

  async #newKey(workspace: string): Promise<Key> {
    return (await this.ask('POST', `/v1/workspaces/${workspace}/keys`, { role: 'send' })) as Key
  }

  /**
   * Asks one replica after the other as the superuser, until one has done it. If an answer was lost, the request may have been done already:
   * then a workspace exists, or a key is gone.
   * @returns the body of the answer; undefined if it has none, or if it says that there is nothing to do
   * @throws {Error} no replica does it in time
   */
  async ask(method: string, path: string, body?: object): Promise<unknown> {
    const deadline = performance.now() + GIVE_UP_MS
    let last = 'no replica was there'
    for (let turn = 0; performance.now() < deadline; turn += 1) {
      const urls = this.#urls()
      try {
        const { status, text } = await send(urls[turn % urls.length], method, path, this.superuserKey, body)
        if (status < 300) return text === '' ? undefined : JSON.parse(text)
        if (status === 409 || (method === 'DELETE' && status === 404)) return undefined
        last = `${status} ${text}`
      } catch (error) {
        last = String(error)
      }
      await sleep(RETRY_MS)
    }
    throw new Error(`${method} ${path}: ${last}`)
  }
}

async function send(
  url: string | undefined,
  method: string,
  path: string,
  key: string,
  body?: object,
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { 'x-api-key': key, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(3000),
  })
  return { status: response.status, text: await response.text() }
}
