import { heapSampling } from '#foundation/admin/profiles.ts'
import { adminServer } from '#foundation/admin/server.ts'
import { healthRoutes } from '#foundation/http/health.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { ServiceContext } from '#foundation/lifecycle/run.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { AnswerbackClient } from './adapters/answerback-client.ts'
import type { schema } from './config.ts'
import { leaseRoom } from './domain/lease-room.ts'
import { agentMetrics } from './metrics.ts'
import { fetching } from './wiring/fetching.ts'
import { LeasePoller } from './workers/lease-poller.ts'
import { LeaseWork } from './workers/lease-work.ts'

/** Version that the agent tells the callback service. */
const VERSION = '1.0.0'

/** Joins the rooms of the agent. @returns the parts in the order in which they start; they stop in reverse order */
export function parts({ settings, logger }: ServiceContext<typeof schema>): Part[] {
  const config = settings.current
  const registry = createRegistry()
  const metrics = agentMetrics(registry, {
    leases_held: () => poller.held,
    fetches_in_flight: () => objects.slots.inFlight,
    fetches_waiting: () => objects.slots.waiting,
    answerback_reachable: () => (poller.problem === undefined ? 1 : 0),
  })
  const telemetry = new Telemetry({ serviceName: 'agent', ...config.tracing, logger })

  const { url, timeoutMs, retryBaseMs, retryMaxMs } = config.answerback
  const backoff = { baseMs: retryBaseMs, maxMs: retryMaxMs }
  const answerback = new AnswerbackClient({
    url,
    timeoutMs,
    key: config.agent.key,
    agentId: config.agent.id,
    workspace: config.agent.workspaceId,
    version: VERSION,
    proxy: config.proxy,
  })
  const objects = fetching({ config: () => settings.current, metrics: () => metrics, onRoom: () => poller.wake() })
  const { breaker, slots, fetch } = objects
  const poller = new LeasePoller({
    answerback,
    room: held => leaseRoom({ held, maxHeld: config.leases.max, requests: slots, breaker }),
    roomInMs: () => (breaker.waitMs > 0 ? breaker.waitMs : Number.POSITIVE_INFINITY),
    waitSeconds: config.leases.waitSeconds,
    backoff,
    random: Math.random,
    work: (lease, atMs) =>
      new LeaseWork(lease, atMs, {
        answerback,
        fetch,
        mayHold: () => (breaker.state !== 'closed' || breaker.waitMs > 0) && poller.isOldest(lease),
        backoff,
        random: Math.random,
        onDelivered: metrics.onDelivered,
        onUnavailable: metrics.onUnavailable,
        logger,
      }),
    interrupt: () => objects.interrupt(),
    giveBackMs: config.shutdown.timeoutMs / 2,
    cutOff: () => answerback.stop(),
    onLeased: metrics.onLeased,
    onEnded: metrics.onEnded,
    onUnavailable: metrics.onUnavailable,
    logger,
  })

  const admin = adminServer({
    ...config.admin,
    registry,
    settings,
    logger,
    routes: healthRoutes([
      { name: 'answerback', problem: () => poller.problem },
      {
        name: 'client_service',
        problem: () => (breaker.state === 'closed' ? undefined : 'the client service is down'),
        // A restart of the agent would not bring it back.
        isDispensable: () => true,
      },
    ]),
  })

  settings.onChange(next => {
    telemetry.setSampleRatio(next.tracing.sampleRatio)
    slots.concurrency = next.fetch.concurrency
    poller.wake()
  })

  return [telemetry, heapSampling, admin, answerback, poller, telemetry.sending]
}
