import { createHash, randomBytes } from 'node:crypto'

const RANDOM_BYTES = 32

/** Makes a key: `ab_<workspace>_<random>`, with 256 random bits. Whoever has it has its rights, so only its owner may see it. */
export function newAccessKey(workspace: string): string {
  return `ab_${workspace}_${randomBytes(RANDOM_BYTES).toString('base64url')}`
}

/** Returns the SHA-256 of a key. A key is random, so a slow hash would add no safety. */
export function hashOfKey(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
