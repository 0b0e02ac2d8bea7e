import type { FetchOfObject } from './activity-types.ts'
import { type FetchBar, fetchBars } from './timeline-fetches.ts'

/** An event of `GET /v1/callbacks/:id/timeline`. */
export interface TimelineEvent {
  readonly event: string
  readonly at: string
  readonly attempt?: number
  readonly state?: string
  readonly counts?: Readonly<Record<string, number>>
  readonly by?: string
  readonly priority?: number
  readonly objects?: string
  readonly worker?: { readonly number: number; readonly host?: string; readonly pid?: number }
  /** Name of the agent that had leased it. */
  readonly agent?: string
  /** Labels that agents need for it from then on. Null: those of the workspace. */
  readonly agent_labels?: readonly string[] | null
}

/** A line of the picture. Times are epoch milliseconds. */
export interface Bar {
  readonly kind: 'wait' | 'paused' | 'attempt' | 'event'
  readonly label: string
  readonly from: number
  /** Equal to `from` for an event of a moment. While it goes on: the time of the picture. */
  readonly to: number
  readonly isOpen: boolean
  readonly result: string
  readonly isFailed: boolean
  /** Of an attempt: the fetches that are known, in order of their start. */
  readonly fetches: readonly FetchBar[]
}

type Draft = { -readonly [Key in keyof Bar]: Bar[Key] }
type Attempt = Draft & { readonly number: number | undefined }

/** The state in which an event leaves a callback that no worker has. Other events leave it as it is. */
const STATE_AFTER: Readonly<Record<string, string>> = {
  accepted: 'pending',
  spooled: 'pending',
  paused: 'paused',
  resumed: 'pending',
  retried: 'pending',
  cancelled: 'cancelled',
}
const ATTEMPT_ENDS: ReadonlySet<string> = new Set([
  'attempt_ended',
  'given_back',
  'taken_over',
  // These end leases of agents.
  'lapsed',
  'recalled',
  'taken_away',
])

/** Draws the past of a callback in the order in which it happened: waits, attempts with their fetches, and what somebody did. */
export function barsOf(events: readonly TimelineEvent[], fetches: readonly FetchOfObject[], now: number): Bar[] {
  const bars: Draft[] = []
  const attempts: Attempt[] = []
  let open: Draft | undefined

  const end = (at: number): void => {
    if (open) Object.assign(open, { to: Math.max(open.from, at), isOpen: false })
    open = undefined
  }
  const begin = <T extends Draft>(bar: T): T => {
    bars.push(bar)
    open = bar
    return bar
  }
  const wait = (state: string | undefined, at: number): void => {
    if (state === 'pending') begin(draft('wait', 'Waits for a worker', at, now))
    if (state === 'paused') begin(draft('paused', 'Is paused', at, now))
  }

  let before = Number.NEGATIVE_INFINITY
  for (const event of events) {
    const at = Date.parse(event.at)
    if (event.event === 'claimed') {
      // An attempt that goes on has its begin from the clock of its worker, which may differ.
      const begun = Math.max(before, Math.min(at, now))
      end(begun)
      attempts.push(begin({ ...draft('attempt', attemptLabel(event), begun, now), number: event.attempt }))
    } else if (ATTEMPT_ENDS.has(event.event)) {
      if (open?.kind === 'attempt') Object.assign(open, attemptResult(event))
      end(at)
      wait(event.state ?? 'pending', at)
    } else {
      const state = open?.kind === 'attempt' ? undefined : STATE_AFTER[event.event]
      if (state) end(at)
      bars.push({ ...draft('event', eventLabel(event), at, at), isOpen: false })
      wait(state, at)
    }
    before = at
  }
  for (const [attempt, made] of byAttempt(attempts, fetches)) attempt.fetches = fetchBars(made, now)
  return bars
}

/** The numbers of attempts begin again with each round, so the time decides too. The clocks of two replicas may differ by a second. */
function byAttempt(attempts: readonly Attempt[], fetches: readonly FetchOfObject[]): Map<Attempt, FetchOfObject[]> {
  const made = new Map<Attempt, FetchOfObject[]>()
  for (const fetch of fetches) {
    const startedAt = Date.parse(fetch.started_at)
    const same = attempts.filter(({ number }) => number === fetch.attempt)
    const during = same.findLast(({ from, to }) => from <= startedAt && startedAt <= to)
    const attempt = during ?? same.findLast(({ from }) => from <= startedAt + 1000) ?? same[0]
    if (!attempt) continue
    const own = made.get(attempt)
    if (own) own.push(fetch)
    else made.set(attempt, [fetch])
  }
  return made
}

function draft(kind: Bar['kind'], label: string, from: number, now: number): Draft {
  return { kind, label, from, to: Math.max(from, now), isOpen: true, result: '', isFailed: false, fetches: [] }
}

function attemptLabel({ attempt, worker, agent }: TimelineEvent): string {
  if (agent !== undefined) return `Attempt ${attempt ?? '?'}, agent ${agent}`
  const process = worker?.host === undefined ? '' : ` on ${worker.host}, process ${worker.pid}`
  return `Attempt ${attempt ?? '?'}${worker ? `, worker ${worker.number}${process}` : ''}`
}

const ENDINGS: Readonly<Record<string, string>> = {
  given_back: 'given back by its worker',
  taken_over: 'its worker was lost',
  lapsed: 'its lease lapsed',
  recalled: 'somebody wanted it back',
  taken_away: 'taken away from its agent',
}

function attemptResult({ event, state, counts, agent }: TimelineEvent): Pick<Bar, 'result' | 'isFailed'> {
  const objects = Object.entries(counts ?? {}).map(([result, count]) => `${count} ${resultText(result)}`)
  const isFailed =
    event === 'taken_over' || event === 'lapsed' || state === 'failed' || Object.keys(counts ?? {}).some(result => result.includes(':'))
  const ending = event === 'given_back' && agent !== undefined ? 'given back by its agent' : ENDINGS[event]
  if (ending !== undefined) objects.unshift(ending)
  return { result: objects.join(', '), isFailed }
}

/** Writes the result of an object, such as `pending:http_503`, for people. */
function resultText(result: string): string {
  const [outcome = '', reason] = result.split(':', 2)
  return `${outcome.replaceAll('_', ' ')}${reason ? ` (${reason})` : ''}`
}

function eventLabel({ event, by, priority, objects, agent, agent_labels: labels }: TimelineEvent): string {
  const words = event.replaceAll('_', ' ')
  const details = [
    priority !== undefined && `priority ${priority}`,
    objects && `${objects} objects`,
    agent && `agent ${agent}`,
    labels && `labels ${labels.join(' ')}`,
    by && `by ${by}`,
  ].filter(Boolean)
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${details.length > 0 ? `: ${details.join(', ')}` : ''}`
}
