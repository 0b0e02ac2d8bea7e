import { hash, timingSafeEqual } from 'node:crypto'
import { HttpProblem } from '#foundation/http/problems.ts'
import type { KnownKey, Role } from '../../domain/workspaces/caller.ts'

/** Who has a key. A superuser has no workspace of its own. */
export interface Identity {
  readonly role: Role
  readonly workspace: string | undefined
  readonly key: KnownKey | undefined
}

export const SUPERUSER: Identity = { role: 'superuser', workspace: undefined, key: undefined }

export interface IdentitiesOptions {
  readonly directory: {
    keyWithHash(hash: Buffer): KnownKey | undefined
    /** @param listener called after each change of a workspace or a key */
    onChange(listener: () => void): void
  }
  readonly superuserKeys: readonly string[]
  readonly databaseNowMs: () => number
}

/** No key is longer. A longer text is not worth the time to hash it. */
const MAX_KEY_LENGTH = 512
/** Verified keys to remember. Most senders use one of a few keys, and hashing takes most of the time for a key. */
const MAX_VERIFIED = 1000

/** Finds out who has a key. It compares SHA-256 hashes, in constant time. */
export class Identities {
  readonly #directory: IdentitiesOptions['directory']
  readonly #superusers: readonly Buffer[]
  readonly #databaseNowMs: () => number
  /** The time of a lookup tells nothing about the keys: a map compares texts only if their hashes are equal, and those have a secret seed. */
  readonly #verified = new Map<string, Identity>()
  #changes = 0

  constructor({ directory, superuserKeys, databaseNowMs }: IdentitiesOptions) {
    this.#directory = directory
    this.#superusers = superuserKeys.map(digestOf)
    this.#databaseNowMs = databaseNowMs
    directory.onChange(() => {
      this.#verified.clear()
      this.#changes += 1
    })
  }

  /** Number of changes of the directory so far. */
  get changes(): number {
    return this.#changes
  }

  /** @returns undefined if this process does not know the key @throws {HttpProblem} invalid_key: it has expired */
  of(key: string): Identity | undefined {
    const identity = this.#verified.get(key) ?? this.#verify(key)
    if (identity) this.#requireUnexpired(identity.key)
    return identity
  }

  /** @param seen number of changes of the directory when the key was valid @throws {HttpProblem} invalid_key: it is revoked or has expired */
  requireValid(key: KnownKey | undefined, seen: number): void {
    if (key && seen !== this.#changes && !this.#identityOf(key.hash)) throw invalidKey()
    this.#requireUnexpired(key)
  }

  #verify(key: string): Identity | undefined {
    const identity = key.length <= MAX_KEY_LENGTH ? this.#identityOf(digestOf(key)) : undefined
    if (!identity) return undefined
    if (this.#verified.size === MAX_VERIFIED) this.#verified.clear()
    this.#verified.set(key, identity)
    return identity
  }

  #identityOf(digest: Buffer): Identity | undefined {
    if (isAmong(this.#superusers, digest)) return SUPERUSER
    const key = this.#directory.keyWithHash(digest)
    return key && timingSafeEqual(key.hash, digest) ? { role: key.role, workspace: key.workspace, key } : undefined
  }

  #requireUnexpired(key: KnownKey | undefined): void {
    if (key && key.expiresAt !== null && key.expiresAt.getTime() <= this.#databaseNowMs()) throw invalidKey()
  }
}

export function unauthorized(code: 'key_required' | 'invalid_key', detail: string): HttpProblem {
  return new HttpProblem(code, detail, { headers: { 'WWW-Authenticate': 'Bearer realm="answerback"' } })
}

export function invalidKey(): HttpProblem {
  return unauthorized('invalid_key', 'The key is unknown or no longer valid.')
}

function digestOf(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

/** Compares with all, so that the time tells nothing. */
function isAmong(digests: readonly Buffer[], digest: Buffer): boolean {
  let isFound = false
  for (const each of digests) if (timingSafeEqual(each, digest)) isFound = true
  return isFound
}
