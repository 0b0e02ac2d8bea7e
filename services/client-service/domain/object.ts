/** The id of an object: any int64, exact. */
export type ObjectId = bigint

/** What the service says of an object. Every int64 is one; nothing is kept. */
export interface ObjectStatus {
  readonly id: ObjectId
  readonly online: boolean
}

/** The given rule: objects with even ids are online. */
export function statusOf(id: ObjectId): ObjectStatus {
  return { id, online: id % 2n === 0n }
}

/** Another object, for an answer that is about the wrong one: the nearest id of the other parity, an int64 too. */
export function neighbourOf(id: ObjectId): ObjectId {
  return id ^ 1n
}

/**
 * Reads an id as it stands in a URL: `-?digits`, no leading zeros.
 * @returns undefined when the text is none, or beyond int64
 */
export function parseObjectId(text: string): ObjectId | undefined {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return undefined
  const id = BigInt(text)
  return BigInt.asIntN(64, id) === id ? id : undefined
}
