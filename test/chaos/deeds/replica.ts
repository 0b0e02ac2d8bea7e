import { setTimeout as sleep } from 'node:timers/promises'
import { patchConfig, range } from '../../support/callbacks.ts'
import { CLIENT_LATENCY } from '../system.ts'
import { type Deed, lasting, type Victim } from './deed.ts'

/** Text that occurs only in the statements that accept callbacks and in those that empty a spool. */
const INSERT = 'INSERT INTO callbacks (id, object_ids'
/** Duration of each life in a crash loop. It is long enough to claim the callbacks of the previous life, but too short for an answer. */
const SHORT_LIFE_MS = 1200
const SLOW = { minMs: 1300, maxMs: 1900 }
/** If the share of a fault is above this, its crash loop affects all replicas. */
const ALL_CRASH_SHARE = 0.7

/** Makes the faults of one replica, and of its connection to Postgres. */
export const REPLICA_DEEDS = {
  kill: ({ service }) => service.kill(),
  'kill at an insert': ({ service, proxy, forMs }) => proxy.atStatement(INSERT, 'question', forMs, () => service.kill()),
  'kill at a commit': ({ service, proxy, forMs }) => proxy.atStatement(INSERT, 'answer', forMs, () => service.kill()),
  'kill while spooling': victim => whileSpooling(victim, () => victim.service.kill()),
  async 'kill while draining'({ service, proxy, forMs }) {
    proxy.refuse()
    await sleep(forMs)
    // At that moment the batch is in the database, and still in the spool.
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
  /** In the first half, one replica has only its spool, so it cannot see which keys the database has. */
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
