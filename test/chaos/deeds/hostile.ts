import { runChild } from '../../../bench/support/child.ts'
import type { HostileReport, HostileSettings } from '../../../bench/support/hostile-sockets.ts'
import type { Deed, Victim } from './deed.ts'

const PAGE = '/v1/objects?limit=1000'

/** Makes the faults of hostile peers, which attack one replica beside its honest senders. */
export const HOSTILE_DEEDS = {
  'peers pipeline reads': victim => attack(victim, { kind: 'pipelined', connections: 8, count: 200, path: PAGE }),
  'peers send crumbs': victim => attack(victim, { kind: 'crumbs', connections: 3, count: 60_000, path: '' }),
  'peers never read': victim => attack(victim, { kind: 'unread', connections: 20, count: 200, path: PAGE }),
} as const satisfies Readonly<Record<string, Deed>>

/** Attacks from a separate process. The cost of the attack must not delay the honest senders, which run in the process of the faults. */
async function attack({ service, system, forMs }: Victim, how: Omit<HostileSettings, 'port' | 'key' | 'seconds'>): Promise<void> {
  const { url } = await service.running()
  const key = system.access.superuserKey
  await runChild<HostileSettings, HostileReport>('hostile-sockets.ts', {
    ...how,
    key,
    port: Number(new URL(url).port),
    seconds: forMs / 1000,
  })
}
