import type { StoredCallback, SuspectStore } from './history.ts'

/** The reason that strays give for each object and callback that they call failed. No agent gives it while it has a lease. */
export const STRAY_REASON = 'stray'

const MEANING: Readonly<Record<SuspectStore['why'], string>> = {
  untrue: 'the client service never said what was stored',
  fresh: 'what was stored claims to be asked for after the lease had named it',
}

/**
 * Finds results of lost leases that the service took: objects in a state that the client service never reported, and outcomes with the reason
 * of a stray. It also finds objects that look newer than the lease under which they were delivered.
 */
export function checkLeases(rows: readonly StoredCallback[], suspects: readonly SuspectStore[]): string[] {
  return [
    ...rows.flatMap(({ id, unstored }) =>
      unstored.filter(({ reason }) => reason === STRAY_REASON).map(object => `${id}: object ${object.id} ended by a lost lease`),
    ),
    ...suspects.map(({ callbackId, place, why }) => `${callbackId}: object ${place}: ${MEANING[why]}`),
  ]
}
