import { Counter, Gauge, Histogram, type Registry, SECONDS_BUCKETS } from '#foundation/telemetry/metrics.ts'

const LATENESS_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30]

/** What the callback service counts and times. docs/operations.md says how to read it. */
export function callbackMetrics(registry: Registry) {
  const registers = [registry]
  const histogram = (name: string, help: string, buckets = SECONDS_BUCKETS) => new Histogram({ name, help, buckets, registers })
  return {
    received: new Counter({
      name: 'callbacks_received_total',
      help: 'Callbacks by outcome: accepted, replayed, or the code of the problem.',
      labelNames: ['outcome'],
      registers,
    }),
    settled: new Counter({
      name: 'callbacks_settled_total',
      help: 'Callbacks that left their worker, by the state they left in.',
      labelNames: ['state'],
      registers,
    }),
    takenOver: new Counter({ name: 'callbacks_taken_over_total', help: 'Callbacks taken over from workers that died or hung.', registers }),
    spooled: new Counter({
      name: 'callbacks_spooled_total',
      help: 'Callbacks kept in the spool because the database was away.',
      registers,
    }),
    spoolSeconds: histogram('spool_write_seconds', 'Time of one write to the spool, flush included.'),
    drained: new Counter({ name: 'callbacks_drained_total', help: 'Callbacks moved from the spool into the database.', registers }),
    commitSize: histogram('accept_commit_callbacks', 'Callbacks that shared one commit.', [1, 2, 4, 8, 16, 32, 64, 128, 256]),
    commitSeconds: histogram('accept_commit_seconds', 'Time of one commit of callbacks.'),
    queueSeconds: histogram('callbacks_queue_seconds', 'From acceptance to the first claim.'),
    backlog: new Gauge({
      name: 'callbacks_backlog',
      help: 'Callbacks accepted and not finished, in the whole database, a few seconds ago.',
      registers,
    }),
    live: new Gauge({ name: 'objects_live', help: 'Objects stored and not expired, in the whole database, a few seconds ago.', registers }),
    fetched: new Histogram({
      name: 'fetch_duration_seconds',
      help: 'Requests to the client service by result.',
      labelNames: ['result'],
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    shared: new Counter({ name: 'fetches_shared_total', help: 'Objects a callback got from the fetch of another.', registers }),
    stored: new Counter({ name: 'objects_stored_total', help: 'Objects written.', registers }),
    storeSeconds: histogram('store_statement_seconds', 'Time of one statement that stores objects.'),
    expired: new Counter({ name: 'objects_expired_total', help: 'Objects deleted because their time had come.', registers }),
    lateness: histogram('objects_expiry_lateness_seconds', 'From the moment an object expired to its deletion.', LATENESS_BUCKETS),
  }
}

export type CallbackMetrics = ReturnType<typeof callbackMetrics>

/** Gauges that are read when somebody asks, and what each says. */
export const LIVE_GAUGES = {
  accept_waiting: 'Callbacks that wait for a commit.',
  spool_callbacks: 'Callbacks in the spool, waiting for the database.',
  spool_set_aside: 'Callbacks in the spool that the database refused, for a person to look at.',
  spool_bytes: 'Bytes of callbacks in the spool.',
  fetches_in_flight: 'Requests to the client service under way.',
  fetches_waiting: 'Requests to the client service that wait for one under way to end.',
  http_connections: 'Open connections.',
  worker_session: 'Whether this process holds its worker session, without which it works on nothing: 1 or 0.',
  callbacks_running: 'Callbacks this process works on.',
} as const

/** @param read how each is read */
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
