import type { ObjectId } from './object.ts'

/** What can go wrong with an answer on purpose, and the setting that says how often. */
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

/** Each from 0 to 1, together 1 at most; what is left are good answers. `down` resets them all. */
export type FaultShares = { readonly [F in Fault as (typeof SHARES)[F]]: number } & {
  readonly down: boolean
  /** The only objects whose answers go wrong, as ids and ranges of ids, both ends included, separated by commas: `7,100..130`. Empty: all. */
  readonly objectIds: string
}

type IdRange = readonly [first: ObjectId, last: ObjectId]

/**
 * @param random from 0 up to 1
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
