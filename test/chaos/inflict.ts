import type { ChaosAgent } from './agents.ts'
import { ACCESS_DEEDS } from './deeds/access.ts'
import { AGENT_DEEDS } from './deeds/agent.ts'
import { CLIENT_DEEDS } from './deeds/client.ts'
import { DATABASE_DEEDS } from './deeds/database.ts'
import type { Arena, Deed } from './deeds/deed.ts'
import { HOSTILE_DEEDS } from './deeds/hostile.ts'
import { REPLICA_DEEDS } from './deeds/replica.ts'
import { FAULTS, type FaultKind } from './fault-kinds.ts'
import type { Fault } from './fault-plan.ts'
import type { Replica } from './system.ts'

const DEEDS: Readonly<Record<FaultKind, Deed>> = {
  ...REPLICA_DEEDS,
  ...DATABASE_DEEDS,
  ...CLIENT_DEEDS,
  ...AGENT_DEEDS,
  ...ACCESS_DEEDS,
  ...HOSTILE_DEEDS,
}

/**
 * Makes a fault and lifts it. Resolves when the fault is lifted; the services may still be recovering.
 * @returns false if the fault waited for an event that did not come
 */
export async function inflict(fault: Fault, arena: Arena): Promise<boolean> {
  const { replicas, client, agents } = arena.system
  const drawn = fault.replica % replicas.length
  const victim = [...replicas.slice(drawn), ...replicas].find(({ service }) => service.isRunning) ?? (replicas[drawn] as Replica)
  const agent = agents[fault.replica % agents.length] as ChaosAgent
  const { meets } = FAULTS[fault.kind]
  if (meets === 'replica' || meets === 'senders') await victim.service.running()
  if (meets === 'client' || meets === 'objects') await client.running()
  if (meets === 'agent') await agent.service.running()
  return (await DEEDS[fault.kind]({ ...victim, agent, ...arena, ...fault })) ?? true
}
