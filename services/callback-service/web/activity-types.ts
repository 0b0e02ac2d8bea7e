/** The body of `GET /activity`: what this process did in the last 15 minutes, a row a second, and how it is now. */
export interface Activity {
  readonly kind: 'Activity'
  readonly id: 'activity'
  readonly href: '/activity'
  /** Send it as `after` to get only later rows. */
  readonly cursor: string
  /**
   * True if the rows are all that the process has: there was no `after`, or it was from before a restart, or rows in between are gone. Then they
   * replace the rows that the page has. Otherwise they come after them.
   */
  readonly from_start: boolean
  /** Usual time from one row to the next. */
  readonly interval_ms: number
  /** Maximum number of rows that the process keeps: 900. */
  readonly max_rows: number
  /** All columns have the same length, oldest row first. */
  readonly columns: ActivityColumns
  readonly lights: readonly Light[]
  readonly now: ActivityNow
}

/** A value of null: nothing is known. In a row of nulls alone, besides `at_ms`, the process took no sample: the line must have a gap there. */
export type Column = readonly (number | null)[]

export interface ActivityColumns {
  /**
   * When each second ended: epoch milliseconds, always increasing. If the clock goes back, these times go on. Add `now.clock_offset_ms` to show
   * them as the clock does.
   */
  readonly at_ms: readonly number[]
  /** Callbacks a second that this process answered with 202, without replays. */
  readonly accepted: Column
  /** Callbacks a second that this process completed. */
  readonly completed: Column
  /** Callbacks a second that failed at this process. */
  readonly failed: Column
  /** Callbacks a second that this process kept in its spool. They are in `accepted` too. */
  readonly spooled: Column
  /** Requests a second to client services that were answered, also with 404. */
  readonly fetches_done: Column
  /** Requests a second to client services that failed: any other status, a timeout, no connection. */
  readonly fetches_failed: Column
  /** Requests to client services under way. */
  readonly fetches_in_flight: Column
  /** Requests to client services that wait for a slot. */
  readonly fetches_waiting: Column
  /** Unfinished callbacks in the whole database, paused ones too. */
  readonly backlog: Column
  /** Objects in the whole database that readers see. */
  readonly live_objects: Column
  /** Callbacks in the spool of this process. */
  readonly spool_callbacks: Column
  /** Time from the arrival of a POST to its 202. Null in a second without any. */
  readonly accept_p50_ms: Column
  readonly accept_p99_ms: Column
  /** Time from the expiry of an object to its deletion. Null in a second without any. */
  readonly lateness_p99_ms: Column
  readonly lateness_max_ms: Column
  /**
   * Time until a callback that comes now is probably finished, in the workspace where that takes longest. Null: nobody knows, for example because
   * its client service is down.
   */
  readonly eta_ms: Column
}

/** In this order in the answer. */
export type LightName = 'postgres' | 'client_service' | 'agents' | 'processing' | 'spool' | 'zipkin' | 'process'

export interface Light {
  readonly name: LightName
  /** `unknown`: not in use, or nothing seen yet. */
  readonly state: 'ok' | 'warn' | 'bad' | 'unknown'
  /** One to three plain sentences. They may contain names and reasons that others chose: show them as text. */
  readonly text: string
}

export interface ActivityNow {
  /** The time of the process, RFC 3339. */
  readonly at: string
  /** The time of the database, which writes the times of callbacks, RFC 3339. */
  readonly database_at: string
  /** What to add to `columns.at_ms` to get times of the clock as it is now. 0 unless the clock went back. */
  readonly clock_offset_ms: number
  readonly uptime_seconds: number
  readonly is_shutting_down: boolean
  /** Replicas that live, this one included. */
  readonly replicas: number
  /** Maximum number of requests to client services under way (`fetch.concurrency`). */
  readonly fetch_concurrency: number
  /** Client services that are not well, at most 20. */
  readonly client_services: readonly ClientServiceTrouble[]
  /** Number of workspaces whose client service is not well. It may exceed the length of `client_services`. */
  readonly client_services_not_well: number
  /** Callbacks that wait although agents of their workspace live, because none of them suits. At most 20 workspaces. */
  readonly unsuited: readonly Unsuited[]
  /** Null without a spool. */
  readonly spool: { readonly callbacks: number; readonly set_aside: number; readonly bytes: number } | null
  readonly worker: {
    /** Null while this process has no worker session. Then it works on no callback. */
    readonly number: number | null
    /** Why it has none. */
    readonly problem: string | null
    /** Callbacks that this process works on. */
    readonly callbacks_running: number
  }
  readonly streams_open: number
  readonly http_connections: number
  /** Callbacks that wait for a commit. */
  readonly accept_waiting: number
  /** Requests that wait for the end of a callback. */
  readonly requests_waiting: number
  readonly node_version: string
}

export interface ClientServiceTrouble {
  readonly workspace: string
  /** `open`, `half_open`: the breaker. `paused`: it asked us to wait. */
  readonly state: 'open' | 'half_open' | 'paused'
  /** When the next request may leave, RFC 3339. Null: now. */
  readonly until: string | null
}

export interface Unsuited {
  readonly workspace: string
  /** Their number. */
  readonly callbacks: number
  /** The id of the one that has waited longest. */
  readonly oldest: string
}

/** The body of `GET /v1/callbacks/:id/fetches`. */
export interface Fetches {
  readonly kind: 'Fetches'
  readonly id: string
  readonly href: string
  readonly callback: { readonly kind: 'Callback'; readonly id: string; readonly href: string }
  /** The process that answers. It knows its own fetches only. */
  readonly replica: { readonly host: string; readonly pid: number; readonly worker: number | null }
  /** Whether these are all fetches of the callback's attempts in this round, as far as the numbers of its attempts tell. */
  readonly is_complete: boolean
  /** In order of their start, at most 5,000. */
  readonly fetches: readonly FetchOfObject[]
}

/** One object in one attempt, with all tries. */
export interface FetchOfObject {
  /** A reference to the object: `kind`, `id` (an exact int64) and `href`. */
  readonly kind: 'Object'
  readonly id: string
  readonly href: string
  readonly attempt: number
  /** By the database's clock, as the times of the callback and its timeline. */
  readonly started_at: string
  /** Time until the request left whose answer counts: it waited for a slot, the breaker or earlier tries. Null: none has left. */
  readonly waited_ms: number | null
  /** From `started_at` until the object was stored or given up. Null: under way. */
  readonly duration_ms: number | null
  /** `stored`, `offline`, `not_found`, or why it failed: `http_503`, `timeout`, `connection` and others. Null: under way. */
  readonly result: string | null
  /** Whether the answer came from the fetch of another callback. */
  readonly shared: boolean
}
