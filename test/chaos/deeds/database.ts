import { setTimeout as sleep } from 'node:timers/promises'
import { withOptions } from '../chaos-postgres.ts'
import { announceStandstill } from '../witness.ts'
import { type Deed, lasting } from './deed.ts'

const READY_WITHIN_MS = 5000

/** Makes the faults of Postgres, and of all processes at once. */
export const DATABASE_DEEDS = {
  'postgres crashes': ({ system, forMs }) => system.postgres.crash(forMs),
  'postgres hangs': ({ system: { postgres }, forMs }) =>
    lasting(
      forMs,
      () => postgres.freeze(),
      () => postgres.thaw(),
    ),
  async 'everything crashes'({ system }) {
    for (const { service } of system.replicas) service.kill()
    system.client.kill()
    await system.postgres.crash(0)
  },
  async 'all hang'({ system: { postgres, replicas }, forMs }) {
    const running = await Promise.all(replicas.map(({ service }) => service.running()))
    await postgres.use(db => announceStandstill(db, forMs))
    const signalAll = (signal: NodeJS.Signals): void => {
      for (const replica of running) replica.signal(signal)
    }
    await lasting(
      forMs,
      () => signalAll('SIGSTOP'),
      () => signalAll('SIGCONT'),
    )
  },
  'clock steps': ({ system: { postgres }, forMs, stepMs }) =>
    // The step is permanent. `forMs` is the time in which we observe its effect.
    lasting(
      forMs,
      () => postgres.stepClock(stepMs),
      () => undefined,
    ),
  async 'leases run out'({ system: { postgres } }) {
    await postgres.use(async db => {
      await db.query("UPDATE workers SET lease_expires_at = now() - interval '1 hour'")
      await db.query('UPDATE callbacks SET lease_expires_at = leased_at WHERE agent_id IS NOT NULL')
    })
  },
  'database turns read-only': ({ system: { postgres }, forMs }) =>
    lasting(
      forMs,
      () => postgres.configure('default_transaction_read_only', 'on'),
      () => postgres.configure('default_transaction_read_only'),
    ),
  'standby is lost': ({ system: { postgres }, forMs }) =>
    lasting(
      forMs,
      () => postgres.configure('synchronous_standby_names', 'nobody'),
      () => postgres.configure('synchronous_standby_names'),
    ),
  /** Affects all replicas at once, because a commit that waits for the disk would also flush the commits of the other replicas. */
  async 'url weakens durability'({ system: { postgres, replicas }, forMs }) {
    const lives = replicas.map(({ service }) => service.lives.length)
    for (const { service, proxy } of replicas) {
      service.override = { DATABASE_URL: withOptions(proxy.url, '-c synchronous_commit=off') }
      service.terminate()
    }
    const areReady = (): boolean =>
      replicas.every(({ service }, i) => service.lives.slice(lives[i]).some(life => life.readyAtMs !== undefined))
    const deadline = performance.now() + READY_WITHIN_MS
    // A service that refuses such a URL never becomes ready.
    while (performance.now() < deadline && !areReady()) await sleep(20)
    await sleep(forMs)
    await postgres.crash(0)
    for (const { service } of replicas) {
      service.override = {}
      service.terminate()
    }
  },
} as const satisfies Readonly<Record<string, Deed>>
