import type { ObjectId } from '#fetching/object-id.ts'

/** The lease has ended, was never given, or is another agent's. Nothing has changed. */
export class LeaseLostError extends Error {
  readonly code = 'lease_lost'

  constructor() {
    super('This lease is not, or no longer, a live lease of this agent. If it was finished before, the first finish counts.')
  }
}

/** The request names objects for which the lease does not ask. Nothing has changed. */
export class NotWantedError extends Error {
  readonly code = 'not_wanted'

  constructor(ids: readonly ObjectId[]) {
    super(`The lease does not ask for ${listOf(ids)}.`)
  }
}

/** The agent wants to finish, but some objects are neither delivered nor named. Nothing has changed. */
export class ObjectsMissingError extends Error {
  readonly code = 'objects_missing'

  constructor(ids: readonly ObjectId[]) {
    super(`The lease still asks for ${listOf(ids)}. Deliver them, or name them in unstored.`)
  }
}

const SHOWN_IDS = 5

function listOf(ids: readonly ObjectId[]): string {
  const shown = ids.slice(0, SHOWN_IDS).join(', ')
  const more = ids.length - SHOWN_IDS
  return `${ids.length === 1 ? 'the object' : 'the objects'} ${shown}${more > 0 ? ` and ${more} more` : ''}`
}
