import { setTimeout as sleep } from 'node:timers/promises'
import type { CallbackAnswer } from '../support/callbacks.ts'
import { isFinished } from './acceptance-checker.ts'
import { WORKSPACES } from './access.ts'
import { check, countRecovered, type Findings } from './checker.ts'
import type { FaultKind } from './fault-kinds.ts'
import type { Fault } from './fault-plan.ts'
import type { SentCallback } from './history.ts'
import { checkLedger, daysOf } from './ledger-checker.ts'
import { type Inflicted, runNemesis } from './nemesis.ts'
import { seededRandom } from './random.ts'
import { Sender } from './sender.ts'
import { CAN_STEP_CLOCKS } from './steppable-clock.ts'
import { checkStream } from './stream-checker.ts'
import { StreamListeners } from './stream-listeners.ts'
import { ChaosSystem } from './system.ts'
import { type Timings, timingsOf } from './timings.ts'
import { readWitness, type Witnessed } from './witness.ts'

export interface ChaosOptions {
  readonly seed: number
  /** Minimum duration of the run. It lasts longer if the faults take longer. */
  readonly seconds: number
  readonly faults: readonly Fault[]
  readonly perSecond: number
  readonly replicas: number
  /** Folder of the services' sources. */
  readonly root: string
  /** After the last fault, the run gives up if the number of unfinished callbacks has not fallen for this time. */
  readonly giveUpMs: number
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

/** The result of a run. */
export interface Result {
  readonly sent: readonly SentCallback[]
  readonly findings: Findings
  readonly recovered: number
  /** Number of callbacks that ended as failed. */
  readonly failed: number
  /** Number of callbacks that needed more than two attempts. */
  readonly tried: number
  /** Number of leases, and how many of them ended without a verdict. */
  readonly leases: { readonly given: number; readonly lost: number }
  /** Kinds of faults that cannot be made on this machine. */
  readonly without: readonly FaultKind[]
  readonly inflicted: readonly Inflicted[]
  readonly timings: Timings
  /** Reports of services that ended by themselves, or did not start. */
  readonly accidents: readonly string[]
  readonly drainedMs: number
}

/** Kinds of faults that cannot be made on this machine. */
export const IMPOSSIBLE_HERE: readonly FaultKind[] = CAN_STEP_CLOCKS ? [] : ['clock steps']

/** Number of callbacks to read back over HTTP. The checker reads all of them in the database. */
const READ_BACK = 500
const EXAMPLES = 10
/** Maximum time to drain. A busy machine needs minutes for its backlog, and is not stuck while the backlog shrinks. */
const DRAIN_MS = 900_000
/** Maximum time until listeners know of the last change: to notice that a replica is gone, connect again, and catch up. */
const HEARD_MS = 30_000
/** Maximum time to wait for an answer when nothing is under way. A service that takes longer will not answer at all. */
const PATIENCE_MS = 3000

/**
 * Starts a system, sends callbacks under faults, lets the system drain, and checks the result. When it returns, everything that it started
 * has ended.
 */
export async function chaos(options: ChaosOptions): Promise<Result> {
  const { seed, seconds, faults, perSecond, replicas, root, giveUpMs, signal, say } = options
  const system = await ChaosSystem.start({ replicas, root })
  const sender = new Sender({
    urls: () => system.urls,
    access: system.access,
    perSecond,
    random: seededRandom(seed),
    prefix: `chaos-${seed}`,
  })
  const listeners = new StreamListeners({ urls: () => system.urls, key: system.access.superuserKey })
  try {
    listeners.start()
    sender.start()
    const inflicted = await runNemesis({ system, sender, faults, seconds, signal, say })
    await sender.stop()
    const drainedMs = await drained(system, giveUpMs, signal)
    const witnessed = await system.postgres.use(readWitness)
    const findings = check({ ...witnessed, sent: sender.sent, inflicted })
    findings.unseen.push(...(await unseen(witnessed, listeners)))
    findings.stuck.push(...(await unreadable(system, sender.sent)))
    findings.admitted.push(...(await system.access.admitted()))
    findings.stale.push(...system.strays.believed)
    findings.miscounted.push(...checkLedger(sender.sent, witnessed.rows, await system.access.ledger(daysOf(sender.sent, witnessed.rows))))
    findings.leaked.push(
      ...(await system.access.leaked(workspace => idsOf(sender.sent.filter(callback => callback.workspace === workspace)))),
    )
    return {
      sent: sender.sent,
      findings,
      recovered: countRecovered({ sent: sender.sent, rows: witnessed.rows }),
      failed: witnessed.rows.filter(({ state }) => state === 'failed').length,
      tried: witnessed.rows.filter(({ attempts }) => attempts > 2).length,
      leases: leasesIn(witnessed),
      without: IMPOSSIBLE_HERE,
      inflicted,
      timings: timingsOf({ replicas: system.replicas.map(({ service }) => service), transitions: witnessed.transitions, inflicted }),
      accidents: [...[...system.replicas, ...system.agents].map(({ service }) => service), system.client].flatMap(
        ({ accidents }) => accidents,
      ),
      drainedMs,
    }
  } finally {
    await sender.stop()
    await listeners.stop()
    await system.stop()
  }
}

/**
 * Waits until no callback is unfinished, as long as their number falls. The checker reports those that are left.
 * @returns how long that took, in milliseconds
 */
async function drained(system: ChaosSystem, giveUpMs: number, signal: AbortSignal): Promise<number> {
  const started = performance.now()
  let least = Number.POSITIVE_INFINITY
  let leastAt = started
  while (least > 0 && performance.now() < Math.min(leastAt + giveUpMs, started + DRAIN_MS)) {
    // A replica that is still starting cannot be asked yet.
    const asked = system.unfinished().catch(() => Number.POSITIVE_INFINITY)
    const unfinished = (await Promise.race([asked, sleep(PATIENCE_MS, undefined, { ref: false })])) ?? Number.POSITIVE_INFINITY
    if (unfinished < least) {
      least = unfinished
      leastAt = performance.now()
    }
    await sleep(100, undefined, { signal })
  }
  return leastAt - started
}

/** Waits until the listeners have heard everything, as long as that may take. @returns what they have not heard by then */
async function unseen({ rows, transitions }: Witnessed, { heard }: StreamListeners): Promise<string[]> {
  const deadline = performance.now() + HEARD_MS
  for (;;) {
    const silent = WORKSPACES.filter(workspace => !heard.has(workspace)).map(workspace => `the listener of ${workspace} never began`)
    const found = [...silent, ...checkStream(rows, transitions, heard)]
    if (found.length === 0 || performance.now() > deadline) return found
    await sleep(100)
  }
}

/** Reads callbacks that were answered with 202 from a replica, as a sender would. @returns those that it does not report as finished */
async function unreadable(system: ChaosSystem, sent: readonly SentCallback[]): Promise<string[]> {
  const answered = sent.flatMap(callback => idsOf([callback]).map(id => ({ id, key: system.access.keyOf(callback.workspace) })))
  const every = Math.ceil(answered.length / READ_BACK)
  const [replica] = system.replicas
  const found: string[] = []
  for (const { id, key } of answered.filter((_, i) => i % every === 0)) {
    const state = await readState(`${replica?.service.url}/v1/callbacks/${id}`, key)
    if (state !== 'finished') found.push(`GET /v1/callbacks/${id}: ${state}`)
    if (found.length === EXAMPLES) break
  }
  return found
}

function leasesIn({ transitions }: Witnessed): Result['leases'] {
  return {
    given: transitions.filter(({ to, newWorker }) => to === 'running' && newWorker === null).length,
    lost: transitions.filter(({ to, wasLeased }) => wasLeased && (to === 'pending' || to === 'paused')).length,
  }
}

function idsOf(sent: readonly SentCallback[]): string[] {
  return sent.flatMap(({ outcomes }) => outcomes.flatMap(outcome => (outcome.kind === 'ok' ? [outcome.id] : [])))
}

async function readState(url: string, key: string): Promise<string> {
  try {
    const response = await fetch(url, { headers: { 'x-api-key': key }, signal: AbortSignal.timeout(PATIENCE_MS) })
    const callback = (await response.json()) as CallbackAnswer
    if (!response.ok || !isFinished(callback)) return `${response.status} ${callback.state}`
    return callback.objects.every(({ outcome }) => outcome !== 'pending') ? 'finished' : 'finished, with pending objects'
  } catch (error) {
    return String(error)
  }
}
