import type { AgentRates } from './agent-rates.ts'
import type { Agent, AgentCallback, AgentCallbackPage, AgentPage } from './agents.ts'

/** What the view Agents shows of a workspace. */
export interface SeenAgents {
  readonly agents: readonly Agent[]
  readonly hasMore: boolean
  /** Who fetches the objects of the workspace. Undefined: the caller may not see it. */
  readonly fetcher: 'service' | 'agents' | undefined
}

/** What the view of one agent shows. */
export interface SeenAgent {
  readonly agent: Agent
  /** What it holds and what is assigned to it: the first ones. */
  readonly callbacks: readonly AgentCallback[]
  readonly hasMore: boolean
}

type Ask = <T>(path: string) => Promise<T>

/** Reads the agents of a workspace, and who fetches its objects. @param rates take in the counters @throws {Error} the service cannot say it now */
export async function readAgents(
  ask: Ask,
  { workspace, limit, rates }: { workspace: string; limit: number; rates: AgentRates },
): Promise<SeenAgents> {
  const name = encodeURIComponent(workspace)
  const [{ items, next }, fetcher] = await Promise.all([
    ask<AgentPage>(`v1/agents?workspace_id=${name}&limit=${limit}`),
    ask<{ readonly fetcher: 'service' | 'agents' | null }>(`v1/workspaces/${name}`).then(found => found.fetcher ?? 'service', ifHidden),
  ])
  rates.add(items, performance.now())
  return { agents: items, hasMore: next !== undefined, fetcher }
}

/** Reads one agent and its callbacks. @param rates take in its counter @throws {Error} the service cannot say it now */
export async function readAgent(
  ask: Ask,
  { id, workspace, rates }: { id: string; workspace: string; rates: AgentRates },
): Promise<SeenAgent> {
  const path = `v1/agents/${encodeURIComponent(id)}`
  const query = `?workspace_id=${encodeURIComponent(workspace)}`
  const [agent, { items, next }] = await Promise.all([
    ask<Agent>(`${path}${query}`),
    ask<AgentCallbackPage>(`${path}/callbacks${query}&limit=${MAX_CALLBACKS}`),
  ])
  rates.add([agent], performance.now())
  return { agent, callbacks: items, hasMore: next !== undefined }
}

const MAX_CALLBACKS = 100

/** Only those who may manage a workspace see its settings. */
function ifHidden(error: Error & { readonly status?: number }): undefined {
  if (error.status === 404) return undefined
  throw error
}
