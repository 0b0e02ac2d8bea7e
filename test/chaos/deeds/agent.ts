import { setTimeout as sleep } from 'node:timers/promises'
import { AGENTS_WORKSPACE } from '../access.ts'
import { agentsPath } from '../agents.ts'
import type { ChaosSystem } from '../system.ts'
import { type Deed, lasting, type Victim } from './deed.ts'

/** Share above which strays lose their leases because somebody takes their callbacks away. */
const BY_HAND_SHARE = 0.6
const MAX_CALLBACKS = 20
const REASSIGN_PAUSE_MS = 300

/** Makes the faults of one agent, of its connections, and of those who steer its work. */
export const AGENT_DEEDS = {
  'agent is killed': ({ agent }) => agent.service.kill(),
  'agent is terminated': ({ agent }) => agent.service.terminate(),
  async 'agent hangs'({ agent, forMs }) {
    const running = await agent.service.running()
    await lasting(
      forMs,
      () => running.signal('SIGSTOP'),
      () => running.signal('SIGCONT'),
    )
  },
  'agent loses the service': ({ agent: { toService }, forMs }) =>
    lasting(
      forMs,
      () => toService.refuse(),
      () => toService.forward(),
    ),
  /** Its requests reach the service. So what it leases goes back when the lease ends, and what it delivers it delivers again. */
  async 'agent hears no answer'({ agent: { toService }, forMs }) {
    toService.swallowAnswers()
    await sleep(forMs)
    toService.forward()
    toService.cut()
  },
  'agent loses its client': ({ agent: { toClient }, forMs }) =>
    lasting(
      forMs,
      () => toClient.refuse(),
      () => toClient.forward(),
    ),
  'agent is archived': ({ agent, system: { access }, forMs }) =>
    lasting(
      forMs,
      () => access.ask('DELETE', agentsPath(`/v1/agents/${agent.id}`)),
      () => access.ask('POST', agentsPath(`/v1/agents/${agent.id}/restore`)),
    ),
  /** Somebody gives the agent what waits or what another agent has, and takes from it what it has. */
  async 'callbacks are reassigned'({ agent, system, forMs }) {
    const { access } = system
    const mine = `/v1/agents/${agent.id}/callbacks`
    for (const end = performance.now() + forMs; performance.now() < end; await sleep(REASSIGN_PAUSE_MS)) {
      const [held, waiting, running] = [
        await idsAt(system, `${mine}?limit=${MAX_CALLBACKS}`),
        await idsAt(system, `/v1/callbacks?state=pending&limit=${MAX_CALLBACKS}`),
        await idsAt(system, `/v1/callbacks?state=running&limit=${MAX_CALLBACKS}`),
      ]
      for (const id of everySecond([...waiting, ...running])) await access.ask('PUT', agentsPath(`${mine}/${id}`))
      for (const id of everySecond(held)) await access.ask('DELETE', agentsPath(`${mine}/${id}`))
    }
  },
  async 'callbacks are paused'({ system, forMs }) {
    const ids = await idsAt(system, `/v1/callbacks?state=running&limit=${MAX_CALLBACKS}`)
    const activate = async (activated: boolean): Promise<void> => {
      for (const id of ids) await system.access.ask('PATCH', agentsPath(`/v1/callbacks/${id}`), { activated })
    }
    await lasting(
      forMs,
      () => activate(false),
      () => activate(true),
    )
    return ids.length > 0
  },
  'fetcher changes': victim => whileWorkspaceHas(victim, { fetcher: 'service' }, { fetcher: 'agents' }),
  'workspace of agents pauses': victim => whileWorkspaceHas(victim, { paused: true }, { paused: false }),
  'strays deliver': ({ system, share }) => system.strays.stray(share > BY_HAND_SHARE ? 'by hand' : 'by time'),
} as const satisfies Readonly<Record<string, Deed>>

function whileWorkspaceHas({ system: { access }, forMs }: Victim, changes: object, usual: object): Promise<void> {
  const path = `/v1/workspaces/${AGENTS_WORKSPACE}`
  return lasting(
    forMs,
    () => access.ask('PATCH', path, changes),
    () => access.ask('PATCH', path, usual),
  )
}

async function idsAt({ access }: ChaosSystem, path: string): Promise<string[]> {
  const { items } = (await access.ask('GET', agentsPath(path))) as { items: { id: string }[] }
  return items.map(({ id }) => id)
}

function everySecond<T>(items: readonly T[]): T[] {
  return items.filter((_, i) => i % 2 === 0)
}
