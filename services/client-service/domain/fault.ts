import { type ObjectId, parseObjectId } from './object.ts'

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
  /** The only objects whose answers go wrong, as `parseIdRanges` reads them; empty: all. */
  readonly objectIds: string
}

type IdRange = readonly [first: ObjectId, last: ObjectId]

/**
 * @param random from 0 up to 1
 * @returns undefined for a good answer
 */
export function chooseFault(shares: FaultShares, id: ObjectId, random: number): Fault | undefined {
  if (shares.down) return 'reset'
  if (shares.objectIds !== '' && !isWithin(parseIdRanges(shares.objectIds) ?? [], id)) return undefined
  let left = random
  for (const [fault, share] of Object.entries(SHARES)) {
    left -= shares[share]
    if (left < 0) return fault as Fault
  }
  return undefined
}

/**
 * Reads ids and ranges of ids, both ends included, separated by commas: `7,100..130`.
 * @returns undefined when the text is none
 */
export function parseIdRanges(text: string): readonly IdRange[] | undefined {
  const ranges = text.split(',').map(parseRange)
  return ranges.includes(undefined) ? undefined : (ranges as IdRange[])
}

function parseRange(text: string): IdRange | undefined {
  const [first, last, ...more] = text.split('..').map(parseObjectId)
  const end = text.includes('..') ? last : first
  return first === undefined || end === undefined || more.length > 0 ? undefined : [first, end]
}

function isWithin(ranges: readonly IdRange[], id: ObjectId): boolean {
  return ranges.some(([first, last]) => id >= first && id <= last)
}
