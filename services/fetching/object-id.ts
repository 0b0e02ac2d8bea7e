/** The id of an object in the client service: any int64, as an exact value. */
export type ObjectId = bigint

/**
 * An id on its way into the database: a number if a double holds it exactly, otherwise a bigint. A number costs a tenth of a bigint. Both
 * print the same digits.
 */
export type WrittenId = number | bigint

export const MIN_OBJECT_ID = -(2n ** 63n)
export const MAX_OBJECT_ID = 2n ** 63n - 1n

/**
 * Reads a decimal integer from a URL or a cursor: `-?digits`, without leading zeros.
 * @returns undefined if the text is not an integer, or beyond int64
 */
export function parseObjectId(text: string): ObjectId | undefined {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return undefined
  const id = BigInt(text)
  return isInt64(id) ? id : undefined
}

export function isInt64(value: bigint): boolean {
  return value >= MIN_OBJECT_ID && value <= MAX_OBJECT_ID
}
