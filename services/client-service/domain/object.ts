/** The id of an object: any int64, as an exact value. */
export type ObjectId = bigint

/** The answer about an object. Every int64 is the id of an object; the service stores nothing. */
export interface ObjectStatus {
  readonly id: ObjectId
  readonly online: boolean
}

/** Computes the status of an object. By definition, objects with even ids are online. */
export function statusOf(id: ObjectId): ObjectStatus {
  return { id, online: id % 2n === 0n }
}

/** Returns the id of another object, for an answer about the wrong one: a neighbour with the other parity, also an int64. */
export function neighbourOf(id: ObjectId): ObjectId {
  return id ^ 1n
}

/**
 * Reads an id from a URL: `-?digits`, without leading zeros.
 * @returns undefined if the text is not an integer, or beyond int64
 */
export function parseObjectId(text: string): ObjectId | undefined {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return undefined
  const id = BigInt(text)
  return BigInt.asIntN(64, id) === id ? id : undefined
}
