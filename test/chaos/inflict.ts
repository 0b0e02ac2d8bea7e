import { setTimeout as sleep } from 'node:timers/promises'
import { patchConfig } from '../support/callbacks.ts'
import type { Fault, FaultKind } from './fault-plan.ts'
import type { ChaosSystem, Replica } from './system.ts'

/** What a fault meets, and how hard. */
interface Victim extends Replica {
  readonly system: ChaosSystem
  readonly forMs: number
  readonly share: number
}

/** What begins the statements that accept callbacks, and those that empty a spool. */
const INSERT = 'INSERT INTO callbacks'

/**
 * Does what the fault is, and lifts it. Resolves when all is as it was, but for what the services make of it.
 * @returns false when what it waited for did not come by
 */
export async function inflict({ kind, replica, forMs, share }: Fault, system: ChaosSystem): Promise<boolean> {
  const victim = system.replicas[replica % system.replicas.length] as Replica
  await Promise.all([victim.service.running(), system.client.running()])
  return (await DEEDS[kind]({ ...victim, system, forMs, share })) ?? true
}

const DEEDS: Readonly<Record<FaultKind, (victim: Victim) => void | Promise<void> | Promise<boolean>>> = {
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
    running.signal('SIGSTOP')
    await sleep(forMs)
    running.signal('SIGCONT')
  },
  cut: ({ proxy }) => proxy.cut(),
  async refuse({ proxy, forMs }) {
    proxy.refuse()
    await sleep(forMs)
    proxy.forward()
  },
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
  'postgres crashes': ({ system, forMs }) => system.postgres.crash(forMs),
  async 'postgres hangs'({ system, forMs }) {
    await system.postgres.freeze()
    await sleep(forMs)
    await system.postgres.thaw()
  },
  async 'everything crashes'({ system }) {
    for (const { service } of system.replicas) service.kill()
    system.client.kill()
    await system.postgres.crash(0)
  },
  'client errs': victim => misanswer(victim, 'errorShare'),
  'client pushes back': victim => misanswer(victim, 'tooManyRequestsShare'),
  'client hangs': victim => misanswer(victim, 'hangShare'),
  'client drips': victim => misanswer(victim, 'dripShare'),
  'client babbles': victim => misanswer(victim, 'garbageShare'),
  'client mistakes ids': victim => misanswer(victim, 'wrongIdShare'),
  'client resets': victim => misanswer(victim, 'resetShare'),
  async 'client goes away'({ system, forMs }) {
    const { adminUrl } = await system.client.running()
    await patchConfig(adminUrl, { faults: { down: true } })
    await sleep(forMs)
    await patchConfig(adminUrl, { faults: { down: false } })
  },
  'client is killed': ({ system }) => system.client.kill(),
}

async function whileSpooling({ proxy, forMs }: Victim, act: () => void): Promise<void> {
  proxy.refuse()
  await sleep(forMs / 2)
  act()
  await sleep(forMs / 2)
  proxy.forward()
}

async function misanswer({ system, forMs, share }: Victim, fault: string): Promise<void> {
  const { adminUrl } = await system.client.running()
  await patchConfig(adminUrl, { faults: { [fault]: share } })
  await sleep(forMs)
  await patchConfig(adminUrl, { faults: { [fault]: 0 } })
}
