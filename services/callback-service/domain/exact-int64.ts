import { isInt64, type ObjectId } from '#fetching/object-id.ts'
import { InvalidBodyError } from './json-body.ts'

/**
 * Reads the exact value of a JSON number that must be an int64: `1e3` is 1000, `1.0` is 1, `-0` is 0.
 * The number of digits is checked first, so that a hundred thousand digits or an exponent of a billion cost nothing.
 * @param source the number as the body has it @param pointer its place in the body
 * @throws {InvalidBodyError} not_an_integer, out_of_range
 */
export function exactInt64(source: string, pointer: string): ObjectId {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(source) as unknown as string[]
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  if (digits === '') return 0n
  const significant = withoutTrailingZeros(digits)
  // value = significant × 10^scale
  const scale = Number(exponent) - fraction.length + (digits.length - significant.length)
  if (scale < 0) throw new InvalidBodyError('not_an_integer', 'An id has a fraction.', pointer)
  if (significant.length + scale > 19) throw outOfRange(pointer)
  const id = BigInt(`${sign}${significant}${'0'.repeat(scale)}`)
  if (!isInt64(id)) throw outOfRange(pointer)
  return id
}

/** Removes the zeros in a loop, because a regular expression takes quadratic time if the zeros are not at the end. */
function withoutTrailingZeros(digits: string): string {
  let end = digits.length
  while (digits[end - 1] === '0') end -= 1
  return digits.slice(0, end)
}

function outOfRange(pointer: string): InvalidBodyError {
  return new InvalidBodyError('out_of_range', 'An id is outside the range of signed 64-bit integers.', pointer)
}
