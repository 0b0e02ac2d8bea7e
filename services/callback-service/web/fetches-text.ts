import type { Fetches } from './activity-types.ts'
import type { TimelineEvent } from './timeline.ts'

/** Says whose fetches these are, and who has the others. */
export function fetchesText(fetches: Fetches | undefined, events: readonly TimelineEvent[]): string {
  if (!fetches) return 'Single fetches are not shown: the service does not offer them to you.'
  const agents = new Set(roundOf(events).flatMap(({ agent }) => agent ?? []))
  if (agents.size > 0 && fetches.fetches.length === 0)
    return `The fetches of this round were made by ${[...agents].join(', ')}. The page does not see fetches of agents.`
  const { replica, is_complete, fetches: made } = fetches
  const here = `${replica.host}, process ${replica.pid}`
  const others = workersOf(events).filter(({ number }) => number !== replica.worker)
  // An attempt that another replica gave back without its being charged leaves no hole in the numbers. The timeline has it.
  const isAll = is_complete && !workersOf(roundOf(events)).some(({ number }) => number !== replica.worker)
  if (isAll && made.length > 0) return `All fetches of this round were made by this replica (${here}).`
  const elsewhere = others.length > 0 ? ` Attempts ran on ${[...new Set(others.map(workerText))].join(', ')}.` : ''
  return made.length === 0
    ? `This replica (${here}) remembers no fetches of this callback: it made none, or has forgotten them.${elsewhere}`
    : `These fetches were made by this replica (${here}). It does not know all of them.${elsewhere}`
}

type Worker = NonNullable<TimelineEvent['worker']>

function workersOf(events: readonly TimelineEvent[]): Worker[] {
  return events.flatMap(({ worker }) => worker ?? [])
}

/** The events since the receipt, or since somebody sent the callback round again. */
function roundOf(events: readonly TimelineEvent[]): readonly TimelineEvent[] {
  return events.slice(events.findLastIndex(({ event }) => event === 'retried') + 1)
}

function workerText({ number: worker, host, pid }: Worker): string {
  return host === undefined ? `worker ${worker}` : `worker ${worker} (${host}, process ${pid})`
}
