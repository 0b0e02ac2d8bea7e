import type { Activity } from './activity-types.ts'
import { age, bytes, duration, number } from './format.ts'
import { highest, type Known, meanOf, newest } from './recent.ts'
import type { ActivityRows, ColumnName } from './rows.ts'

/** A figure of the view `now`, ready to show. */
export interface Figure {
  readonly label: string
  readonly value: string
  /** Explains the value, or says how old it is. */
  readonly note: string
  readonly state?: 'warn' | 'bad'
}

/** Rows that a rate and a highest value are taken over. */
const RECENT_ROWS = 10
/** A value of the database comes every few seconds. An older one says its age. */
const FRESH_ROWS = 6
const NOTHING = '–'

/** The figures of the whole database: all replicas see the same. */
export function figuresOfAll(rows: ActivityRows, { now, interval_ms }: Activity): readonly Figure[] {
  const dated = (label: string, column: ColumnName, note: string): Figure => {
    const known = newest(rows.column(column))
    return { label, value: known ? number(known.value) : NOTHING, ...ageOr(note, known, interval_ms) }
  }
  const eta = newest(rows.column('eta_ms'))
  const isEtaKnown = eta !== undefined && eta.rowsAgo <= FRESH_ROWS
  return [
    { label: 'Replicas alive', value: number(now.replicas), note: '' },
    dated('Backlog', 'backlog', 'unfinished callbacks'),
    {
      label: 'Done in about',
      value: isEtaKnown ? duration(eta.value) : 'unknown',
      note: 'a callback sent now',
    },
    dated('Live objects', 'live_objects', 'not yet expired'),
  ]
}

/** The figures of the process that serves the page. */
export function figuresOfReplica(rows: ActivityRows, { now, interval_ms }: Activity): readonly Figure[] {
  const mean = (column: ColumnName): number | undefined => meanOf(rows.column(column), RECENT_ROWS)
  const rate = (column: ColumnName): string => perSecond(mean(column))
  const worst = (column: ColumnName): Known | undefined => highest(rows.column(column), RECENT_ROWS)
  const time = (label: string, known: Known | undefined, note: string): Figure => ({
    label,
    value: known ? duration(known.value) : NOTHING,
    ...ageOr(note, known, interval_ms),
  })
  const inFlight = newest(rows.column('fetches_in_flight'))
  const maximum = worst('lateness_max_ms')
  const hasFailures = (mean('failed') ?? 0) > 0
  return [
    { label: 'Accepted', value: rate('accepted'), note: mean('spooled') ? `${rate('spooled')} to the spool` : MEAN },
    { label: 'Completed', value: rate('completed'), note: MEAN },
    { label: 'Failed', value: rate('failed'), note: MEAN, ...(hasFailures && { state: 'bad' }) },
    {
      label: 'Fetches in flight',
      value: `${inFlight ? number(inFlight.value) : NOTHING} of ${number(now.fetch_concurrency)}`,
      note: `${number(newest(rows.column('fetches_waiting'))?.value ?? 0)} wait`,
    },
    { label: 'Fetches', value: rate('fetches_done'), note: `${rate('fetches_failed')} failed` },
    time('Accept p50', newest(rows.column('accept_p50_ms')), 'newest second'),
    time('Accept p99', worst('accept_p99_ms'), 'highest of 10 s'),
    time('Expiry lateness', worst('lateness_p99_ms'), `p99, highest ${duration(maximum?.value ?? 0)}`),
    spoolFigure(now),
    troubleFigure(now),
  ]
}

const MEAN = 'mean of 10 s'

function perSecond(rate: number | undefined): string {
  return rate === undefined ? NOTHING : `${number(rate)} /s`
}

function ageOr(note: string, known: Known | undefined, intervalMs: number): { note: string } {
  if (!known) return { note: 'nothing yet' }
  return { note: known.rowsAgo > FRESH_ROWS ? `${age(known.rowsAgo * intervalMs)} ago` : note }
}

function spoolFigure({ spool }: Activity['now']): Figure {
  if (!spool) return { label: 'Spool', value: 'none', note: 'not set up' }
  const { callbacks, set_aside, bytes: size } = spool
  const note = set_aside > 0 ? `${number(set_aside)} set aside` : bytes(size)
  return { label: 'Spool', value: number(callbacks), note, ...((callbacks > 0 || set_aside > 0) && { state: 'warn' }) }
}

function troubleFigure({ client_services, client_services_not_well }: Activity['now']): Figure {
  const [first] = client_services
  if (!first) return { label: 'Client services', value: 'all well', note: 'no breaker, no pause' }
  return {
    label: 'Client services',
    value: `${number(client_services_not_well)} not well`,
    note: `${first.workspace}: ${TROUBLES[first.state]}`,
    state: 'bad',
  }
}

/** What is wrong with a client service, in words. */
export const TROUBLES = { open: 'breaker open', half_open: 'breaker half open', paused: 'paused' } as const
