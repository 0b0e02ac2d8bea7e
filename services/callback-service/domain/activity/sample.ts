/**
 * What one sample says, in the order of the answer. Rates are per second. null: nothing is known, or there was nothing to measure.
 * docs/http-api.md says what each means.
 */
export const COLUMNS = [
  'accepted',
  'completed',
  'failed',
  'spooled',
  'fetches_done',
  'fetches_failed',
  'fetches_in_flight',
  'fetches_waiting',
  'backlog',
  'live_objects',
  'spool_callbacks',
  'accept_p50_ms',
  'accept_p99_ms',
  'lateness_p99_ms',
  'lateness_max_ms',
  'eta_ms',
] as const

export type Sample = Readonly<Record<(typeof COLUMNS)[number], number | null>>

/** The part of a sample that this process counts itself. */
export const COUNTED = ['accepted', 'completed', 'failed', 'spooled', 'fetches_done', 'fetches_failed'] as const

/** The part of a sample that is read at its moment. */
export type Gauges = Pick<Sample, 'fetches_in_flight' | 'fetches_waiting' | 'backlog' | 'live_objects' | 'spool_callbacks' | 'eta_ms'>
