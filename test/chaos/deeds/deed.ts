import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from '../fault-plan.ts'
import type { Sender } from '../sender.ts'
import type { ChaosSystem, Replica } from '../system.ts'

/** Where faults happen. */
export interface Arena {
  readonly system: ChaosSystem
  readonly sender: Sender
}

/** What a fault meets, and how hard. */
export type Victim = Replica & Arena & Omit<Fault, 'kind' | 'atMs' | 'replica'>

/** Makes the fault and lifts it. Gives false when what it waited for did not come by. */
export type Deed = (victim: Victim) => void | Promise<void> | Promise<boolean>

/** Begins something and ends it after a while, whatever comes between. */
export async function lasting(forMs: number, begin: () => unknown, end: () => unknown): Promise<void> {
  try {
    await begin()
    await sleep(forMs)
  } finally {
    await end()
  }
}
