import { setTimeout as sleep } from 'node:timers/promises'
import { patchConfig, range } from '../../support/callbacks.ts'
import { CLIENT_LATENCY } from '../system.ts'
import { type Deed, lasting, type Victim } from './deed.ts'

/** Stands in the statements that accept callbacks and in those that empty a spool, and in no other. */
const INSERT = 'INSERT INTO callbacks (id, object_ids'
/** How long each life in a crash loop lasts: long enough to claim what the one before had claimed, too short for an answer. */
const SHORT_LIFE_MS = 1200
const SLOW = { minMs: 1300, maxMs: 1900 }
/** Above this share a crash loop is one of all replicas. */
const ALL_CRASH_SHARE = 0.7

/** What is done to one replica, or to its way to Postgres. */
export const REPLICA_DEEDS = {
  kill: ({ service }) => service.kill(),
  'kill at an insert': ({ service, proxy, forMs }) => proxy.atStatement(INSERT, 'question', forMs, () => service.kill()),
  'kill at a commit': ({ service, proxy, forMs }) => proxy.atStatement(INSERT, 'answer', forMs, () => service.kill()),
  'kill while spooling': victim => whileSpooling(victim, () => victim.service.kill()),
  async 'kill while draining'({ service, proxy, forMs }) {
    proxy.refuse()
    await sleep(forMs)
    // The batch is in the database then, and in the spool still.
    const killed = proxy.atStatement(INSERT, 'answer', 2000, () => service.kill())
    proxy.forward()
    return killed
  },
  terminate: ({ service }) => service.terminate(),
  'terminate while spooling': victim => whileSpooling(victim, () => victim.service.terminate()),
  async hang({ service, forMs }) {
    const running = await service.running()
    await lasting(
      forMs,
      () => running.signal('SIGSTOP'),
      () => running.signal('SIGCONT'),
    )
  },
  async 'crash loop'({ service, system, forMs, share }) {
    const victims = share > ALL_CRASH_SHARE ? system.replicas.map(replica => replica.service) : [service]
    const { adminUrl } = await system.client.running()
    await patchConfig(adminUrl, { latency: SLOW })
    try {
      for (const _ of range(0, Math.round(forMs / SHORT_LIFE_MS))) {
        await Promise.all(victims.map(victim => victim.running()))
        await sleep(SHORT_LIFE_MS)
        for (const victim of victims) victim.kill()
      }
    } finally {
      await patchConfig(adminUrl, { latency: CLIENT_LATENCY })
    }
  },
  cut: ({ proxy }) => proxy.cut(),
  refuse: ({ proxy, forMs }) =>
    lasting(
      forMs,
      () => proxy.refuse(),
      () => proxy.forward(),
    ),
  async silence({ proxy, forMs }) {
    proxy.goSilent()
    await sleep(forMs)
    proxy.forward()
    proxy.cut()
  },
  async abandon({ proxy, forMs }) {
    proxy.abandon()
    await sleep(forMs)
    proxy.cut()
  },
  'lose an answer': ({ proxy }) => proxy.loseNextAnswer(),
  'lose a commit': ({ proxy, forMs }) => proxy.atStatement(INSERT, 'answer', forMs, () => proxy.cut()),
  async 'pooler recycles the session'({ service, system }) {
    await system.postgres.use(db =>
      db.query(
        'SELECT pg_terminate_backend(l.session) FROM worker_locks l JOIN pg_stat_activity a ON a.pid = l.session WHERE a.application_name = $1',
        [service.name],
      ),
    )
  },
  /** At first one replica has only its spool: it does not see what the database has under a key. */
  async rivals({ sender, proxy, forMs }) {
    sender.rivalShare = 0.5
    await lasting(
      forMs / 2,
      () => proxy.refuse(),
      () => proxy.forward(),
    )
    await sleep(forMs / 2)
    sender.rivalShare = undefined
  },
} as const satisfies Readonly<Record<string, Deed>>

async function whileSpooling({ proxy, forMs }: Victim, act: () => void): Promise<void> {
  proxy.refuse()
  await sleep(forMs / 2)
  act()
  await sleep(forMs / 2)
  proxy.forward()
}
