import { setTimeout as sleep } from 'node:timers/promises'
import { withClient } from '../test/support/database.ts'
import type { ServiceProcess } from '../test/support/service-process.ts'
import { createAgent, createIdleAgents, createWorkspace, IdlePolls } from './support/agents.ts'
import { benchmark } from './support/benchmark.ts'
import { fetchAndStore } from './support/fetch-and-store.ts'
import { ascending, percentile } from './support/percentile.ts'
import { PickUps } from './support/pick-ups.ts'
import { cpuMicroseconds } from './support/process-cpu.ts'

const CONCURRENCY = '512'
const WARM_UP = 800
const SLOW_MS = '300'
/** Time in which PostgreSQL has counted the statements of all its connections, and the replica has seen the polls. */
const SETTLED_MS = 2000

/**
 * Compares agents with fetching by the service itself, in the order A B A B in one service process: objects a second with a client service that
 * answers at once, and with a slow one. All ids are distinct, and each must be a row afterwards. Then it measures how long it takes from a 202 to the
 * first fetch of an agent, and what many agents that wait cost the service and its database.
 */
await benchmark(
  {
    name: 'agents',
    title: 'one agent against fetching by the service, from 202 to its first fetch, and many that wait',
    settings: { rounds: 4, objects: 20_000, slowObjects: 8000, callbacks: 200, agents: 1000, idleSeconds: 30 },
    quick: { rounds: 1, objects: 1000, slowObjects: 400, callbacks: 10, agents: 50, idleSeconds: 2 },
  },
  async ({ settings, databaseUrl, callbackService, program, rounds, sample, onEnd }) => {
    const { objects, slowObjects, callbacks, agents, idleSeconds } = settings
    const quickStub = await program('bench/support/client-stub.ts')
    const slowStub = await program('bench/support/slow-client-stub.ts', { DELAY_MIN_MS: SLOW_MS, DELAY_MAX_MS: SLOW_MS })
    const pickUps = await PickUps.start()
    onEnd(() => pickUps.stop())
    const service = await callbackService({
      FETCH_CONCURRENCY: CONCURRENCY,
      EXPIRY_TTL_SECONDS: '600',
      HTTP_MAX_CONNECTIONS: '10000',
      AGENTS_MAX_POLLS: '4000',
    })
    const pid = service.pid as number
    let firstId = 1

    const running: ServiceProcess[] = []

    /** Makes a workspace and starts the agent that works for it. */
    const withAgent = async (workspace: string, clientUrl: string): Promise<void> => {
      await createWorkspace(service.url, workspace, 'agents', clientUrl)
      const agent = await program('services/agent/main.ts', {
        ANSWERBACK_URL: service.url,
        AGENT_KEY: await createAgent(service.url, workspace),
        CLIENT_SERVICE_URL: clientUrl,
        FETCH_CONCURRENCY: CONCURRENCY,
      })
      running.push(agent)
    }

    const perSecond = async (workspace: string, count: number): Promise<number> => {
      const done = await fetchAndStore({ url: service.url, databaseUrl, firstId, count, headers: { 'x-workspace': workspace } })
      firstId += count
      return done
    }

    const sides = [
      { title: 'a client service that answers at once', name: 'quick', stub: quickStub, count: objects, least: 0.7 },
      { title: `a client service of ${SLOW_MS} ms`, name: 'slow', stub: slowStub, count: slowObjects, least: 0.95 },
    ]
    for (const { name, stub } of sides) {
      await createWorkspace(service.url, `${name}-service`, 'service', stub.url)
      await withAgent(`${name}-agent`, stub.url)
      for (const side of ['service', 'agent']) await perSecond(`${name}-${side}`, WARM_UP)
    }
    await rounds(async () => {
      for (const { title, name, count, least } of sides) {
        const byService = await perSecond(`${name}-service`, count)
        const byAgent = await perSecond(`${name}-agent`, count)
        sample(`${title}: fetched by the service, objects a second`, byService)
        sample(`${title}: through one agent, objects a second`, byAgent)
        sample(`${title}: through one agent, of the service`, byAgent / byService, { atLeast: least })
      }
    })

    await withAgent('pick-up', pickUps.clientUrl)
    await pickUps.next(service.url, { 'x-workspace': 'pick-up' })
    const fromAnswerMs: number[] = []
    for (let i = 0; i < callbacks; i += 1) {
      await sleep(50 + Math.random() * 100)
      fromAnswerMs.push((await pickUps.next(service.url, { 'x-workspace': 'pick-up' })).fromAnswerMs)
    }
    sample('202 to the first fetch of an agent, p50 ms', percentile(ascending(fromAnswerMs), 0.5), { atMost: 20 })
    sample('202 to the first fetch of an agent, p99 ms', percentile(ascending(fromAnswerMs), 0.99))

    await Promise.all(running.map(agent => agent.stop()))
    await createWorkspace(service.url, 'idle', 'agents', quickStub.url)
    const ids = await createIdleAgents(databaseUrl, service.url, 'idle', agents)
    const idle = async (): Promise<{ cpu: number; statements: number }> => {
      await sleep(SETTLED_MS)
      const [cpuBefore, before] = [cpuMicroseconds(pid), await statementsOf(databaseUrl)]
      await sleep(idleSeconds * 1000)
      const cpu = (cpuMicroseconds(pid) - cpuBefore) / idleSeconds / 10_000
      return { cpu, statements: ((await statementsOf(databaseUrl)) - before) / idleSeconds }
    }
    await rounds(async () => {
      const none = await idle()
      const polls = new IdlePolls(service.url, 'idle')
      await polls.start(ids)
      const all = await idle()
      await polls.stop()
      sample('CPU of the service while none of them waits, % of a core', none.cpu)
      sample(`CPU of the service while ${agents} agents wait, % of a core more`, all.cpu - none.cpu, { atMost: 2 })
      sample('statements a second while none of them waits', none.statements)
      sample(`statements a second while ${agents} agents wait, more`, all.statements - none.statements, { atMost: 10 })
    })
  },
)

/** Each statement of the service is a transaction of its own. */
async function statementsOf(databaseUrl: string): Promise<number> {
  const { rows } = await withClient(databaseUrl, db =>
    db.query('SELECT xact_commit + xact_rollback AS count FROM pg_stat_database WHERE datname = current_database()'),
  )
  return Number(rows[0].count)
}
