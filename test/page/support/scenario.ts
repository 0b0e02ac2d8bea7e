import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { between, seededRandom } from '../../chaos/random.ts'
import { accept, patchConfig, range } from '../../support/callbacks.ts'
import { ServiceProcess } from '../../support/service-process.ts'
import { startSurroundings } from '../../support/system.ts'
import { PlayingAgent } from './playing-agent.ts'

interface Sender {
  readonly workspace: string
  readonly perSecond: number
  readonly maxIds: number
  /** When it stops to send, as a share of the whole time. */
  readonly until?: number
  readonly settings?: object
}

const SENDERS: readonly Sender[] = [
  { workspace: 'default', perSecond: 0.5, maxIds: 60 },
  { workspace: 'shop', perSecond: 3, maxIds: 8, settings: { description: 'Orders of the web shop', limits: { requests_per_second: 4 } } },
  { workspace: 'billing', perSecond: 1, maxIds: 3, settings: { limits: { unfinished_callbacks: 5000 } } },
  { workspace: 'devices', perSecond: 1.5, maxIds: 5, settings: { description: 'Meters, with a client service of their own' } },
  { workspace: 'warehouse', perSecond: 0.4, maxIds: 20, settings: { paused: true, limits: { unfinished_callbacks: 500 } } },
  { workspace: 'plant', perSecond: 1.2, maxIds: 6, settings: { description: 'Halls behind a firewall', fetcher: 'agents' } },
  { workspace: 'pos-eu', perSecond: 2, maxIds: 4, until: 0.55 },
]
const AGENTS = [
  { name: 'hall-3', description: 'Beside the controller of hall 3', labels: ['line:a', 'gpu'], max_leases: 8 },
  { name: 'hall-5', description: 'Beside the controller of hall 5', labels: ['line:b'] },
  { name: 'yard', labels: ['line:a'] },
  { name: 'hall-7', description: 'Not installed yet' },
]
/** An agent that stops for good after this share of the whole time. */
const YARD_UNTIL = 0.5
/** Objects of which half of the answers are errors. */
const FRAIL_OBJECTS = '40..52'
/** When things happen, as shares of the whole time. */
const SLOW_FROM = 0.3
const SLOW_UNTIL = 0.4
const DEVICES_DOWN_FROM = 0.75
const LAST_SECONDS = 25

/** A system after a while of work, with something to see in each view. */
export interface Scenario {
  readonly adminUrl: string
  /** A callback of 200 objects, after several attempts. */
  readonly callbackId: string
  stop(): Promise<void>
}

/**
 * Runs both services with several senders for a while. The client service becomes slow and recovers, the client service of one workspace goes down, one sender
 * falls silent. What the senders send is the same each time.
 */
export async function playScenario(seconds: number): Promise<Scenario> {
  const spoolPath = join(tmpdir(), `answerback-page-${process.pid}.spool`)
  const surroundings = await startSurroundings({
    client: { LATENCY_MIN_MS: '100', LATENCY_MAX_MS: '1500', FAULTS_ERROR_SHARE: '0.5', FAULTS_OBJECT_IDS: FRAIL_OBJECTS },
    callback: { SPOOL_PATH: spoolPath, PROCESS_MAX_ATTEMPTS: '4', PROCESS_RETRY_BASE_MS: '500', FETCH_MAX_TRIES: '2' },
  })
  const devices = await ServiceProcess.start('client-service', { EMITTER_ENABLED: 'false', ZIPKIN_URL: '', LATENCY_MAX_MS: '900' })
  const { clientAdminUrl } = surroundings
  const service = await (await surroundings.startCallbackService({ CLIENT_SERVICE_ADMIN_URL: clientAdminUrl })).ready()
  for (const { workspace, settings } of SENDERS.slice(1)) {
    const own = workspace === 'devices' ? { client_service_url: devices.url } : {}
    await post(`${service.url}/v1/workspaces`, { name: workspace, ...settings, ...own })
  }
  const ended = new AbortController()
  const sending = SENDERS.map((sender, index) => send(service.url, sender, { seed: index + 1, seconds, signal: ended.signal }))
  const agents = await Promise.all(AGENTS.map((members, index) => PlayingAgent.make(service.url, 'plant', members, index + 1)))
  const [first, second, yard] = agents
  for (const agent of [first, second]) agent?.work(ended.signal)
  yard?.work(AbortSignal.any([ended.signal, AbortSignal.timeout(seconds * YARD_UNTIL * 1000)]))
  await sleep(seconds * SLOW_FROM * 1000)
  await patchConfig(clientAdminUrl, { latency: { maxMs: 4300 } })
  await sleep(seconds * (SLOW_UNTIL - SLOW_FROM) * 1000)
  await patchConfig(clientAdminUrl, { latency: { maxMs: 1500 } })
  await sleep(seconds * (DEVICES_DOWN_FROM - SLOW_UNTIL) * 1000)
  await patchConfig(devices.adminUrl, { faults: { down: true } })
  await sleep(Math.max(0, seconds * (1 - DEVICES_DOWN_FROM) - LAST_SECONDS) * 1000)
  const callbackId = await accept(service.url, range(1, 200))
  await post(`${service.url}/v1/operations?workspace_id=shop`, { kind: 'retry', filter: {}, rate_per_second: 0.5 })
  await sleep(LAST_SECONDS * 1000)
  return {
    adminUrl: service.adminUrl,
    callbackId,
    stop: async () => {
      ended.abort()
      await Promise.all([...sending, ...agents.map(agent => agent.end)])
      await devices.stop()
      await surroundings.stop()
      await rm(spoolPath, { force: true })
    },
  }
}

async function send(url: string, { workspace, perSecond, maxIds, until = 1 }: Sender, { seed, seconds, signal }: Pace): Promise<void> {
  const random = seededRandom(seed)
  const endsAt = performance.now() + (until === 1 ? Number.POSITIVE_INFINITY : until * seconds * 1000)
  while (!signal.aborted && performance.now() < endsAt) {
    const ids = Array.from({ length: between(random, 1, maxIds) }, () => between(random, 1, 100))
    await post(`${url}/callback?workspace_id=${workspace}`, { object_ids: ids })
    await sleep((0.5 + random()) * (1000 / perSecond), undefined, { signal }).catch(() => undefined)
  }
}

interface Pace {
  readonly seed: number
  readonly seconds: number
  readonly signal: AbortSignal
}

async function post(url: string, body: object): Promise<void> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  // A sender that is over its limit is part of the picture.
  if (!response.ok && response.status !== 429) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
}
