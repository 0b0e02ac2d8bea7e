import { createHistogram } from 'node:perf_hooks'
import type { Signal } from '#foundation/lifecycle/signal.ts'
import { RecentFetches } from '../domain/activity/recent-fetches.ts'
import { Tally } from '../domain/activity/tally.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'

/** What counts and remembers the work of this process for its operators. */
export interface Recording {
  readonly tally: Tally
  readonly fetches: RecentFetches
}

/** Two digits: percentiles are exact to 1 %. Such a histogram takes 7 KB. */
const TIMES = { lowest: 1, highest: 3_600_000_000, figures: 2 }

/** Makes what counts, before the parts that are counted. */
export function recording(events: Signal<CallbackEvent>): Recording {
  const tally = new Tally(() => createHistogram(TIMES))
  events.on(event => tally.onEvent(event))
  return { tally, fetches: new RecentFetches({ nowMs: () => performance.now() }) }
}
