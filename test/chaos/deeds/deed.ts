import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosAgent } from '../agents.ts'
import type { Fault } from '../fault-plan.ts'
import type { Sender } from '../sender.ts'
import type { ChaosSystem, Replica } from '../system.ts'

/** The system under test and its sender. */
export interface Arena {
  readonly system: ChaosSystem
  readonly sender: Sender
}

/** The target of a fault, and its strength. */
export type Victim = Replica & Arena & { readonly agent: ChaosAgent } & Omit<Fault, 'kind' | 'atMs' | 'replica'>

/** Makes the fault and lifts it. Returns false if the fault waited for an event that did not come. */
export type Deed = (victim: Victim) => void | Promise<void> | Promise<boolean>

/** Begins a fault and ends it after `forMs`, or earlier after an error. */
export async function lasting(forMs: number, begin: () => unknown, end: () => unknown): Promise<void> {
  try {
    await begin()
    await sleep(forMs)
  } finally {
    await end()
  }
}
