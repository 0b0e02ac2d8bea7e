// Prints the keys_digest of idempotency keys, one a line on the standard input. Save it as .mjs where Node does not expect modules.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** The first 8 bytes of the SHA-256 of each key, as big-endian integers, added up modulo 2^64: 16 hexadecimal digits. */
export function digest(keys) {
  const total = keys.reduce((sum, key) => sum + createHash('sha256').update(key).digest().readBigUInt64BE(), 0n)
  return BigInt.asUintN(64, total).toString(16).padStart(16, '0')
}

console.log(digest(readFileSync(0, 'utf8').match(/.+/g) ?? []))
