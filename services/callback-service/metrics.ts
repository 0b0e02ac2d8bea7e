import { boundedLabels } from '#foundation/telemetry/bounded-labels.ts'
import { Counter, Gauge, Histogram, type Registry, SECONDS_BUCKETS } from '#foundation/telemetry/metrics.ts'
import type { CallbackEvent } from './domain/callback-event.ts'
import { DEFAULT_WORKSPACE } from './domain/workspaces/workspace.ts'

const LATENESS_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30]

/** Maximum number of workspaces with a label of their own, besides `default`. */
const MAX_WORKSPACE_LABELS = 100

/** The metrics of the callback service. docs/operations.md explains them. */
export function callbackMetrics(registry: Registry) {
  const registers = [registry]
  const histogram = (name: string, help: string, buckets = SECONDS_BUCKETS) => new Histogram({ name, help, buckets, registers })
  const workspaceLabel = boundedLabels(MAX_WORKSPACE_LABELS, ['default', 'unknown'])
  const received = new Counter({
    name: 'callbacks_received_total',
    help: 'Number of callbacks received, by workspace and outcome: accepted, replayed, or the code of the problem.',
    labelNames: ['outcome', 'workspace'],
    registers,
  })
  const settled = new Counter({
    name: 'callbacks_settled_total',
    help: 'Number of callbacks that left their worker, by workspace and the state in which they left.',
    labelNames: ['state', 'workspace'],
    registers,
  })
  const takenOver = new Counter({
    name: 'callbacks_taken_over_total',
    help: 'Number of callbacks taken over from dead or hung workers.',
    registers,
  })
  const spooled = new Counter({
    name: 'callbacks_spooled_total',
    help: 'Number of callbacks kept in the spool because the database could not take them.',
    registers,
  })
  const drained = new Counter({
    name: 'callbacks_drained_total',
    help: 'Number of callbacks moved from the spool into the database.',
    registers,
  })
  const backlog = new Gauge({
    name: 'callbacks_backlog',
    help: 'Number of unfinished callbacks in the whole database, a few seconds ago, by workspace.',
    labelNames: ['workspace'],
    registers,
  })
  /** Sets the backlog. @param unfinished number of unfinished callbacks by workspace */
  const countBacklog = (unfinished: ReadonlyMap<string, number>): void => {
    backlog.reset()
    // The default workspace is always there, so that an empty backlog is 0 and not missing.
    backlog.set({ workspace: DEFAULT_WORKSPACE }, 0)
    for (const [workspace, count] of unfinished) backlog.inc({ workspace: workspaceLabel(workspace) }, count)
  }
  countBacklog(new Map())
  const queueSeconds = histogram('callbacks_queue_seconds', 'Time from acceptance to the first claim, in seconds.')
  return {
    /** Counts what happened to a callback. */
    onEvent(happened: CallbackEvent): void {
      switch (happened.event) {
        case 'answered':
          received.inc({ outcome: happened.outcome, workspace: workspaceLabel(happened.workspace || 'unknown') })
          break
        case 'claimed':
          if (happened.attempt === 1) queueSeconds.observe(happened.waitedMs / 1000)
          break
        case 'settled':
          settled.inc({ state: happened.state, workspace: workspaceLabel(happened.workspace) })
          break
        case 'taken_over':
          takenOver.inc(happened.count)
          break
        case 'spooled':
          spooled.inc(happened.count)
          break
        case 'drained':
          drained.inc(happened.count)
          break
      }
    },
    leased: new Counter({ name: 'leases_granted_total', help: 'Number of leases that agents got.', registers }),
    lapsed: new Counter({
      name: 'leases_lapsed_total',
      help: 'Number of leases that ended because their agent did not use them.',
      registers,
    }),
    spoolSeconds: histogram('spool_write_seconds', 'Duration of one write to the spool, including the flush, in seconds.'),
    commitSize: histogram('accept_commit_callbacks', 'Number of callbacks in one commit.', [1, 2, 4, 8, 16, 32, 64, 128, 256]),
    commitSeconds: histogram('accept_commit_seconds', 'Duration of one commit of callbacks, in seconds.'),
    countBacklog,
    unsuited: new Gauge({
      name: 'callbacks_unsuited',
      help: 'Number of callbacks in the whole database that have been due for a minute and that no living agent suits.',
      registers,
    }),
    live: new Gauge({ name: 'objects_live', help: 'Number of unexpired objects in the whole database, a few seconds ago.', registers }),
    fetched: new Histogram({
      name: 'fetch_duration_seconds',
      help: 'Duration of one request to the client service, in seconds, by result.',
      labelNames: ['result'],
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    shared: new Counter({
      name: 'fetches_shared_total',
      help: 'Number of objects that a callback got from the fetch of another.',
      registers,
    }),
    stored: new Counter({ name: 'objects_stored_total', help: 'Number of objects written.', registers }),
    storeSeconds: histogram('store_statement_seconds', 'Duration of one statement that stores objects, in seconds.'),
    expired: new Counter({ name: 'objects_expired_total', help: 'Number of objects deleted because they had expired.', registers }),
    lateness: histogram(
      'objects_expiry_lateness_seconds',
      'Time from the expiry of an object to its deletion, in seconds.',
      LATENESS_BUCKETS,
    ),
  }
}

export type CallbackMetrics = ReturnType<typeof callbackMetrics>

/** Gauges whose value is read for each scrape, and their help texts. */
export const LIVE_GAUGES = {
  accept_waiting: 'Number of callbacks that wait for a commit.',
  requests_waiting: 'Number of requests that wait for the end of a callback.',
  spool_callbacks: 'Number of callbacks in the spool that wait for the database.',
  spool_set_aside: 'Number of callbacks in the spool that the database refused. An operator must look at them.',
  spool_bytes: 'Size of the content of the spool, in bytes.',
  fetches_in_flight: 'Number of requests to the client service under way.',
  fetches_waiting: 'Number of requests to the client service that wait for a free slot.',
  http_connections: 'Number of open connections.',
  stream_clients: 'Number of open streams.',
  worker_session: '1 if this process has its worker session, otherwise 0. Without a session it works on no callback.',
  agent_polls_waiting: 'Number of requests of agents that wait for a lease.',
  callbacks_running: 'Number of callbacks that this process works on.',
} as const

/** Registers the live gauges. @param read a function for each gauge that returns its value */
export function liveGauges(registry: Registry, read: Readonly<Record<keyof typeof LIVE_GAUGES, () => number>>): void {
  for (const [name, help] of Object.entries(LIVE_GAUGES)) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read[name as keyof typeof LIVE_GAUGES]())
      },
    })
  }
}
