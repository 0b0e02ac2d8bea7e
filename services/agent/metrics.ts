import { fetchResult } from '#fetching/client/fetch-result.ts'
import { boundedLabels } from '#foundation/telemetry/bounded-labels.ts'
import { Counter, Gauge, Histogram, type Registry, SECONDS_BUCKETS } from '#foundation/telemetry/metrics.ts'

/** Maximum number of reasons and states with a label of their own. The callback service may send any. */
const MAX_LABELS = 30

/** The metrics of the agent. docs/agents.md explains them. */
export function agentMetrics(registry: Registry, read: Readonly<Record<keyof typeof LIVE_GAUGES, () => number>>) {
  const registers = [registry]
  const stateLabel = boundedLabels(MAX_LABELS, ['completed', 'pending', 'failed', 'lost'])
  const reasonLabel = boundedLabels(MAX_LABELS, ['timeout', 'connection'])
  for (const [name, help] of Object.entries(LIVE_GAUGES)) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read[name as keyof typeof LIVE_GAUGES]())
      },
    })
  }
  const fetched = new Histogram({
    name: 'fetch_duration_seconds',
    help: 'Duration of one request to the client service, in seconds, by result.',
    labelNames: ['result'],
    buckets: SECONDS_BUCKETS,
    registers,
  })
  const delivered = new Counter({
    name: 'objects_delivered_total',
    help: 'Number of objects delivered to the callback service.',
    registers,
  })
  const deliverySeconds = new Histogram({
    name: 'delivery_seconds',
    help: 'Time until a delivery was stored, with all its tries, in seconds.',
    buckets: SECONDS_BUCKETS,
    registers,
  })
  const leased = new Counter({ name: 'leases_total', help: 'Number of callbacks leased.', registers })
  const ended = new Counter({
    name: 'leases_ended_total',
    help: 'Number of leases that ended, by the state that the callback got. `lost`: the lease lapsed or was taken away.',
    labelNames: ['state'],
    registers,
  })
  const unavailable = new Counter({
    name: 'answerback_failures_total',
    help: 'Number of requests to the callback service that failed and may succeed later, by reason.',
    labelNames: ['reason'],
    registers,
  })
  const shared = new Counter({
    name: 'fetches_shared_total',
    help: 'Number of objects that a callback got from the fetch of another.',
    registers,
  })
  return {
    onFetched: (result: string, seconds: number): void => fetched.observe({ result: fetchResult(result) }, seconds),
    onShared: (): void => shared.inc(),
    onDelivered: (objects: number, seconds: number): void => {
      delivered.inc(objects)
      deliverySeconds.observe(seconds)
    },
    onLeased: (callbacks: number): void => leased.inc(callbacks),
    onEnded: (state: string): void => ended.inc({ state: stateLabel(state) }),
    onUnavailable: (reason: string): void => unavailable.inc({ reason: reasonLabel(reason) }),
  }
}

export type AgentMetrics = ReturnType<typeof agentMetrics>

/** Gauges whose value is read for each scrape, and their help texts. */
export const LIVE_GAUGES = {
  leases_held: 'Number of callbacks that the agent holds.',
  fetches_in_flight: 'Number of requests to the client service under way.',
  fetches_waiting: 'Number of requests to the client service that wait for a free slot.',
  answerback_reachable: '1 if the last request for leases was answered, otherwise 0.',
} as const
