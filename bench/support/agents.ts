import { setTimeout as sleep } from 'node:timers/promises'
import { Agent as Connections, request } from 'undici'
import { withClient } from '../../test/support/database.ts'
import { until } from '../../test/support/eventually.ts'

/** What the agent of this project asks for. */
const WAIT_SECONDS = 30

/** Makes a workspace. @param fetcher who fetches its objects */
export async function createWorkspace(url: string, name: string, fetcher: 'service' | 'agents', clientUrl: string): Promise<void> {
  await create(`${url}/v1/workspaces`, { name, fetcher, client_service_url: clientUrl })
}

/** Makes an agent of a workspace. @returns its key */
export async function createAgent(url: string, workspace: string): Promise<string> {
  return ((await create(`${url}/v1/agents?workspace_id=${workspace}`, { name: 'bench', max_leases: 1000 })) as { key: string }).key
}

async function create(url: string, body: object): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const text = await response.text()
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${text}`)
  return JSON.parse(text)
}

/** Makes many agents of a workspace in one statement. @returns their ids, when the service knows all of them */
export async function createIdleAgents(databaseUrl: string, url: string, workspace: string, count: number): Promise<string[]> {
  const ids = await withClient(databaseUrl, async db => {
    const { rows } = await db.query(
      `WITH changed AS (UPDATE access_revision SET number = number + 1)
       INSERT INTO agents (id, workspace, name) SELECT gen_random_uuid(), $1, 'idle-' || i FROM generate_series(1, $2) AS i RETURNING id`,
      [workspace, count],
    )
    return rows.map(({ id }) => String(id))
  })
  const isKnown = async (): Promise<boolean> => (await fetch(`${url}/v1/agents/${ids.at(-1)}?workspace_id=${workspace}`)).ok
  await until(isKnown, 10_000, 'the service knows the agents')
  return ids
}

/** Agents that wait for work all the time and get none. Each has a connection of its own. */
export class IdlePolls {
  readonly #url: string
  readonly #workspace: string
  readonly #connections = new Connections({ headersTimeout: 0, pipelining: 1 })
  readonly #stopping = new AbortController()
  readonly #polling: Promise<void>[] = []
  #failure: unknown

  constructor(url: string, workspace: string) {
    this.#url = url
    this.#workspace = workspace
  }

  /** Starts one poll for each agent. Spreads them over the time of a poll, as those of agents that were not started together. */
  async start(agentIds: readonly string[]): Promise<void> {
    for (const [index, id] of agentIds.entries()) {
      const firstSeconds = 1 + Math.floor((WAIT_SECONDS * index) / agentIds.length)
      this.#polling.push(
        this.#pollForever(id, firstSeconds).catch(error => {
          this.#failure ??= error
        }),
      )
      if (index % 50 === 49) await sleep(20)
    }
  }

  /** Ends all polls. @throws {Error} one of them was refused, or got a lease */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#polling)
    await this.#connections.destroy()
    if (this.#failure) throw this.#failure
  }

  async #pollForever(agentId: string, firstSeconds: number): Promise<void> {
    const { signal } = this.#stopping
    for (let waitSeconds = firstSeconds; !signal.aborted; waitSeconds = WAIT_SECONDS) {
      try {
        const { statusCode, body } = await request(`${this.#url}/v1/agents/${agentId}/leases?workspace_id=${this.#workspace}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: `{"wait_seconds":${waitSeconds}}`,
          dispatcher: this.#connections,
          signal,
        })
        if (statusCode !== 204) throw new Error(`a poll was answered with ${statusCode}: ${await body.text()}`)
        await body.dump()
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }
}
