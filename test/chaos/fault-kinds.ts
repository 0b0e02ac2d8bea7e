/**
 * All kinds of faults. The files in `deeds/` make them.
 * - meets: the target of the fault; `senders` means the senders of one replica, beside a hostile one; `keys` are those of all senders;
 *   `leases` are the work of all agents
 * - ms: shortest and longest duration
 * - quick: shortest and longest duration if faults come as fast as the system recovers
 *
 * If a kind waits for an event, such as the next insert, its duration is the longest wait.
 */
export const FAULTS = {
  kill: { meets: 'replica', ms: [0, 0], quick: [0, 0] },
  'kill at an insert': { meets: 'replica', ms: [2000, 2000], quick: [500, 500] },
  'kill at a commit': { meets: 'replica', ms: [2000, 2000], quick: [500, 500] },
  'kill while spooling': { meets: 'replica', ms: [1000, 3000], quick: [400, 800] },
  'kill while draining': { meets: 'replica', ms: [500, 2000], quick: [300, 600] },
  terminate: { meets: 'replica', ms: [0, 0], quick: [0, 0] },
  'terminate while spooling': { meets: 'replica', ms: [1000, 4000], quick: [400, 800] },
  // This is longer than the lease, so that the replica wakes up after its work was given away.
  hang: { meets: 'replica', ms: [3500, 4800], quick: [3500, 3500] },
  // The process is killed with kill -9 again and again.
  'crash loop': { meets: 'replica', ms: [2400, 4800], quick: [3600, 3600] },
  cut: { meets: 'replica', ms: [0, 0], quick: [0, 0] },
  refuse: { meets: 'replica', ms: [500, 4000], quick: [100, 600] },
  silence: { meets: 'replica', ms: [500, 4000], quick: [100, 600] },
  abandon: { meets: 'replica', ms: [500, 4500], quick: [100, 600] },
  'lose an answer': { meets: 'replica', ms: [0, 0], quick: [0, 0] },
  'lose a commit': { meets: 'replica', ms: [2000, 2000], quick: [500, 500] },
  'pooler recycles the session': { meets: 'replica', ms: [0, 0], quick: [0, 0] },
  'url weakens durability': { meets: 'all', ms: [500, 2000], quick: [300, 500] },
  rivals: { meets: 'replica', ms: [1000, 4000], quick: [300, 800] },
  'postgres crashes': { meets: 'all', ms: [0, 2500], quick: [0, 200] },
  'postgres hangs': { meets: 'all', ms: [500, 4000], quick: [200, 800] },
  'everything crashes': { meets: 'all', ms: [0, 0], quick: [0, 0] },
  'all hang': { meets: 'all', ms: [3500, 4800], quick: [3500, 3500] },
  'clock steps': { meets: 'all', ms: [500, 4000], quick: [100, 400] },
  'leases run out': { meets: 'all', ms: [0, 0], quick: [0, 0] },
  'database turns read-only': { meets: 'all', ms: [500, 4000], quick: [200, 600] },
  'standby is lost': { meets: 'all', ms: [500, 4000], quick: [200, 600] },
  'client errs': { meets: 'client', ms: [500, 4000], quick: [100, 500] },
  'client pushes back': { meets: 'client', ms: [500, 3000], quick: [100, 500] },
  'client hangs': { meets: 'client', ms: [500, 4000], quick: [100, 500] },
  'client drips': { meets: 'client', ms: [500, 4000], quick: [100, 500] },
  'client babbles': { meets: 'client', ms: [500, 4000], quick: [100, 500] },
  'client mistakes ids': { meets: 'client', ms: [500, 4000], quick: [100, 500] },
  'client resets': { meets: 'client', ms: [500, 4000], quick: [100, 500] },
  'client goes away': { meets: 'client', ms: [500, 4000], quick: [100, 500] },
  'client is killed': { meets: 'client', ms: [0, 0], quick: [0, 0] },
  'one object pushes back': { meets: 'objects', ms: [3000, 4800], quick: [200, 600] },
  'some objects err': { meets: 'objects', ms: [3000, 4800], quick: [200, 600] },
  'some objects hang': { meets: 'objects', ms: [3000, 4800], quick: [200, 600] },
  'agent is killed': { meets: 'agent', ms: [0, 0], quick: [0, 0] },
  'agent is terminated': { meets: 'agent', ms: [0, 0], quick: [0, 0] },
  // This is longer than a lease, so that the agent wakes up after its work was given away.
  'agent hangs': { meets: 'agent', ms: [3500, 4800], quick: [3500, 3500] },
  'agent loses the service': { meets: 'agent', ms: [500, 4500], quick: [100, 600] },
  'agent hears no answer': { meets: 'agent', ms: [500, 4500], quick: [100, 600] },
  'agent loses its client': { meets: 'agent', ms: [500, 4000], quick: [100, 600] },
  'agent is archived': { meets: 'agent', ms: [500, 4000], quick: [100, 600] },
  'callbacks are reassigned': { meets: 'agent', ms: [1000, 4000], quick: [300, 800] },
  'callbacks are paused': { meets: 'leases', ms: [500, 4000], quick: [100, 600] },
  'workspace of agents pauses': { meets: 'leases', ms: [500, 3000], quick: [100, 600] },
  'fetcher changes': { meets: 'leases', ms: [500, 4000], quick: [100, 600] },
  // The time follows from the length of a lease.
  'strays deliver': { meets: 'leases', ms: [0, 0], quick: [0, 0] },
  'keys are rotated': { meets: 'keys', ms: [0, 0], quick: [0, 0] },
  'peers pipeline reads': { meets: 'senders', ms: [3000, 4800], quick: [1000, 1000] },
  'peers send crumbs': { meets: 'senders', ms: [3000, 4800], quick: [1000, 1000] },
  'peers never read': { meets: 'senders', ms: [3000, 4800], quick: [1000, 1000] },
} as const satisfies Readonly<
  Record<
    string,
    {
      meets: 'replica' | 'all' | 'client' | 'objects' | 'agent' | 'leases' | 'keys' | 'senders'
      ms: readonly [number, number]
      quick: readonly [number, number]
    }
  >
>

export type FaultKind = keyof typeof FAULTS

export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[]
