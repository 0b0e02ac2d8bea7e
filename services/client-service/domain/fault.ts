import type { ObjectId } from './object.ts'

/** The faults that can be injected into an answer, and the setting for the share of each. */
const SHARES = {
  error: 'errorShare',
  too_many_requests: 'tooManyRequestsShare',
  not_found: 'notFoundShare',
  hang: 'hangShare',
  drip: 'dripShare',
  garbage: 'garbageShare',
  wrong_id: 'wrongIdShare',
  reset: 'resetShare',
} as const

export type Fault = keyof typeof SHARES

/** The share of each fault, from 0 to 1. Together they are at most 1; the rest are good answers. `down` resets all answers. */
export type FaultShares = { readonly [F in Fault as (typeof SHARES)[F]]: number } & {
  readonly down: boolean
  /** The objects that faults apply to: ids and inclusive ranges, separated by commas, as in `7,100..130`. Empty: all objects. */
  readonly objectIds: string
}

type IdRange = readonly [first: ObjectId, last: ObjectId]

/**
 * Chooses the fault for one answer.
 * @param random at least 0 and below 1
 * @returns undefined for a good answer
 */
export function chooseFault(shares: FaultShares, id: ObjectId, random: number): Fault | undefined {
  if (shares.down) return 'reset'
  if (shares.objectIds !== '' && !isWithin(parseIdRanges(shares.objectIds), id)) return undefined
  let left = random
  for (const [fault, share] of Object.entries(SHARES)) {
    left -= shares[share]
    if (left < 0) return fault as Fault
  }
  return undefined
}

function parseIdRanges(text: string): IdRange[] {
  return text.split(',').map(item => {
    const [first, last = first] = item.split('..').map(BigInt) as [ObjectId, ObjectId?]
    return [first, last]
  })
}

function isWithin(ranges: readonly IdRange[], id: ObjectId): boolean {
  return ranges.some(([first, last]) => id >= first && id <= last)
}
