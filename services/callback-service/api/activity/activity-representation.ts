import Type from 'typebox'
import type { Unsuited } from '../../domain/activity/agent-shortage.ts'
import type { ClientServiceTrouble, Light } from '../../domain/activity/lights.ts'
import { COLUMNS } from '../../domain/activity/sample.ts'
import type { News, Row } from '../../domain/activity/samples.ts'
import { DEFAULT_WORKSPACE } from '../../domain/workspaces/workspace.ts'
import { EXAMPLE_TIME, Time } from '../schemas.ts'

/** What this process did recently, and how it is now. */
export interface ActivityView {
  readonly news: News
  readonly cursor: string
  readonly clockOffsetMs: number
  readonly lights: readonly Light[]
  readonly now: NowView
}

export interface NowView {
  readonly at: Date
  /** By the database's clock. */
  readonly databaseAt: Date
  readonly uptimeSeconds: number
  readonly isShuttingDown: boolean
  readonly replicas: number
  readonly fetchConcurrency: number
  /** All that are not well. */
  readonly troubles: readonly ClientServiceTrouble[]
  /** Callbacks that wait although agents live, because none of them suits. */
  readonly unsuited: readonly Pick<Unsuited, 'workspace' | 'waiting' | 'callback'>[]
  readonly spool: { readonly callbacks: number; readonly setAside: number; readonly bytes: number } | undefined
  readonly worker: { readonly number: number | undefined; readonly problem: string | undefined; readonly callbacksRunning: number }
  readonly streamsOpen: number
  readonly httpConnections: number
  readonly acceptWaiting: number
  readonly requestsWaiting: number
}

export const INTERVAL_MS = 1000
export const MAX_ROWS = 900
/** Maximum number of client services in an answer. */
const MAX_TROUBLES = 20
/** Maximum number of workspaces in an answer whose callbacks no agent suits. */
const MAX_UNSUITED = 20

export function activityText({ news, cursor, clockOffsetMs, lights, now }: ActivityView): string {
  return JSON.stringify({
    kind: 'Activity',
    id: 'activity',
    href: '/activity',
    cursor,
    from_start: news.isFromStart,
    interval_ms: INTERVAL_MS,
    max_rows: MAX_ROWS,
    columns: columnsOf(news.rows),
    lights,
    now: nowOf(now, clockOffsetMs),
  })
}

function columnsOf(rows: readonly Row[]): object {
  return {
    at_ms: rows.map(({ atMs }) => atMs),
    ...Object.fromEntries(COLUMNS.map(name => [name, rows.map(({ sample }) => rounded(sample?.[name] ?? null))])),
  }
}

/** 900 rows are to be small: a value below 100 has one decimal, and a greater one has none. */
function rounded(value: number | null): number | null {
  return value === null || value >= 100 ? value && Math.round(value) : Math.round(value * 10) / 10
}

function nowOf(now: NowView, clockOffsetMs: number): object {
  const { spool, worker } = now
  return {
    at: now.at,
    database_at: now.databaseAt,
    clock_offset_ms: clockOffsetMs,
    uptime_seconds: Math.round(now.uptimeSeconds),
    is_shutting_down: now.isShuttingDown,
    replicas: now.replicas,
    fetch_concurrency: now.fetchConcurrency,
    client_services: now.troubles.slice(0, MAX_TROUBLES).map(({ workspace, state, waitMs }) => ({
      workspace,
      state,
      until: waitMs > 0 ? new Date(now.at.getTime() + waitMs) : null,
    })),
    client_services_not_well: now.troubles.length,
    unsuited: now.unsuited
      .slice(0, MAX_UNSUITED)
      .map(({ workspace, waiting, callback }) => ({ workspace, callbacks: waiting, oldest: callback })),
    spool: spool ? { callbacks: spool.callbacks, set_aside: spool.setAside, bytes: spool.bytes } : null,
    worker: { number: worker.number ?? null, problem: worker.problem ?? null, callbacks_running: worker.callbacksRunning },
    streams_open: now.streamsOpen,
    http_connections: now.httpConnections,
    accept_waiting: now.acceptWaiting,
    requests_waiting: now.requestsWaiting,
    node_version: process.version,
  }
}

const Count = Type.Integer({ minimum: 0 })
const Values = (description: string) =>
  Type.Array(Type.Union([Type.Number({ minimum: 0 }), Type.Null()]), { maxItems: MAX_ROWS, description })

/** What each column means. */
const MEANINGS: Readonly<Record<(typeof COLUMNS)[number], string>> = {
  accepted: 'Callbacks a second that this process accepted, without replays.',
  completed: 'Callbacks a second that this process completed.',
  failed: 'Callbacks a second that failed at this process.',
  spooled: 'Callbacks a second that this process kept in its spool.',
  fetches_done: 'Requests a second to client services that were answered, also with 404.',
  fetches_failed: 'Requests a second to client services that failed.',
  fetches_in_flight: 'Requests to client services under way.',
  fetches_waiting: 'Requests to client services that wait for a slot.',
  backlog: 'Unfinished callbacks in the whole database, paused ones too.',
  live_objects: 'Objects in the whole database that readers see.',
  spool_callbacks: 'Callbacks in the spool of this process.',
  accept_p50_ms: 'Median time from the arrival of a POST to its 202.',
  accept_p99_ms: 'p99 of the time from the arrival of a POST to its 202.',
  lateness_p99_ms: 'p99 of the time from the expiry of an object to its deletion.',
  lateness_max_ms: 'Longest time from the expiry of an object to its deletion.',
  eta_ms: 'Time until a callback that comes now is probably finished, in the workspace where that takes longest.',
}

const Columns = Type.Object(
  {
    at_ms: Type.Array(Type.Integer(), {
      maxItems: MAX_ROWS,
      description: 'When each second ended, in epoch milliseconds. They increase, whatever the clock does: see `clock_offset_ms`.',
    }),
    ...Object.fromEntries(COLUMNS.map(name => [name, Values(MEANINGS[name])])),
  },
  { additionalProperties: false, description: 'All have the same length, oldest first. A row of nulls is a gap: no sample was taken.' },
)

const Now = Type.Object(
  {
    at: Time,
    database_at: { ...Time, description: 'The time of the database, which writes the times of callbacks.' },
    clock_offset_ms: Type.Integer({ description: 'What to add to `at_ms` to get times of the clock. 0 unless the clock went back.' }),
    uptime_seconds: Count,
    is_shutting_down: Type.Boolean(),
    replicas: Type.Integer({ minimum: 1, description: 'Replicas that live, this one included.' }),
    fetch_concurrency: Type.Integer({ minimum: 1, description: 'Maximum number of requests to client services under way.' }),
    client_services: Type.Array(
      Type.Object(
        {
          workspace: Type.String(),
          state: Type.Enum(['open', 'half_open', 'paused'], { description: 'State of the breaker; `paused`: it asked us to wait.' }),
          until: Type.Union([Time, Type.Null()], { description: 'When the next request may leave; null: now.' }),
        },
        { additionalProperties: false },
      ),
      { maxItems: MAX_TROUBLES, description: 'Client services that are not well.' },
    ),
    client_services_not_well: Type.Integer({ minimum: 0, description: 'Number of workspaces whose client service is not well.' }),
    unsuited: Type.Array(
      Type.Object(
        {
          workspace: Type.String(),
          callbacks: Type.Integer({ minimum: 1, description: 'Their number.' }),
          oldest: Type.String({ format: 'uuid', description: 'The id of the callback that has waited longest.' }),
        },
        { additionalProperties: false },
      ),
      {
        maxItems: MAX_UNSUITED,
        description: 'Callbacks that have been due for a minute and that no living agent of their workspace suits.',
      },
    ),
    spool: Type.Union([Type.Object({ callbacks: Count, set_aside: Count, bytes: Count }, { additionalProperties: false }), Type.Null()]),
    worker: Type.Object(
      {
        number: Type.Union([Type.Integer(), Type.Null()], { description: 'Null: it has no worker session, and works on no callback.' }),
        problem: Type.Union([Type.String(), Type.Null()]),
        callbacks_running: Count,
      },
      { additionalProperties: false },
    ),
    streams_open: Count,
    http_connections: Count,
    accept_waiting: Type.Integer({ minimum: 0, description: 'Callbacks that wait for a commit.' }),
    requests_waiting: Type.Integer({ minimum: 0, description: 'Requests that wait for the end of a callback.' }),
    node_version: Type.String(),
  },
  { additionalProperties: false },
)

export const ActivitySchema = Type.Object(
  {
    kind: Type.Literal('Activity'),
    id: Type.Literal('activity'),
    href: Type.Literal('/activity'),
    cursor: Type.String({ description: 'Send it as `after` to get only later rows.' }),
    from_start: Type.Boolean({ description: 'True if these are all rows, and replace those of the reader.' }),
    interval_ms: Type.Literal(INTERVAL_MS),
    max_rows: Type.Literal(MAX_ROWS),
    columns: Columns,
    lights: Type.Array(
      Type.Object(
        {
          name: Type.Enum(['postgres', 'client_service', 'agents', 'processing', 'spool', 'zipkin', 'process']),
          state: Type.Enum(['ok', 'warn', 'bad', 'unknown']),
          text: Type.String({ description: 'Plain sentences. They may contain names that others chose.' }),
        },
        { additionalProperties: false },
      ),
    ),
    now: Now,
  },
  { additionalProperties: false },
)

const EXAMPLE_SAMPLE = {
  accepted: 1.1,
  completed: 0.9,
  failed: 0,
  spooled: 0,
  fetches_done: 96.4,
  fetches_failed: 2,
  fetches_in_flight: 64,
  fetches_waiting: 31,
  backlog: 3,
  live_objects: 51,
  spool_callbacks: 0,
  accept_p50_ms: 3.1,
  accept_p99_ms: 3.1,
  lateness_p99_ms: null,
  lateness_max_ms: null,
  eta_ms: 4210,
}

export const ACTIVITY_EXAMPLE = {
  kind: 'Activity',
  id: 'activity',
  href: '/activity',
  cursor: '3f2a9c01-900',
  from_start: false,
  interval_ms: INTERVAL_MS,
  max_rows: MAX_ROWS,
  columns: columnsOf([{ number: 900, atMs: Date.parse(EXAMPLE_TIME), sample: EXAMPLE_SAMPLE }]),
  lights: [{ name: 'postgres', state: 'ok', text: 'Postgres takes callbacks.' }],
  now: {
    at: EXAMPLE_TIME,
    database_at: EXAMPLE_TIME,
    clock_offset_ms: 0,
    uptime_seconds: 900,
    is_shutting_down: false,
    replicas: 3,
    fetch_concurrency: 512,
    client_services: [{ workspace: DEFAULT_WORKSPACE, state: 'open', until: '2026-11-22T02:55:18.046Z' }],
    client_services_not_well: 1,
    unsuited: [],
    spool: { callbacks: 0, set_aside: 0, bytes: 0 },
    worker: { number: 3, problem: null, callbacks_running: 2 },
    streams_open: 1,
    http_connections: 12,
    accept_waiting: 0,
    requests_waiting: 0,
    node_version: 'v24.21.0',
  },
}
