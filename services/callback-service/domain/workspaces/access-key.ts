import type { KeyRole } from './caller.ts'

/** `ab_<workspace>_<random>`: the random part is 32 bytes in base64url. */
const KEY = /^ab_[A-Za-z0-9_-]{1,64}_[A-Za-z0-9_-]{43}$/

const MAX_LENGTH = 'ab_'.length + 64 + '_'.length + 43

/** Whether a text may be a key. Anything else needs no look into the database. */
export function isKeyShaped(text: string): boolean {
  return text.length <= MAX_LENGTH && KEY.test(text)
}

/** What the owner of a workspace says about a new key. */
export interface NewKey {
  readonly role: KeyRole
  readonly name: string
  /** Null: the key never expires. */
  readonly expiresAt: Date | null
  /** The agent that gets it, if its role is `agent`. */
  readonly agentId: string | null
}

/** A key as its workspace lists it. Nobody can see the key itself again. */
export interface ListedKey extends NewKey {
  readonly id: string
  readonly workspace: string
  readonly createdAt: Date
  /** To the minute. Null: nobody has used the key yet. */
  readonly lastUsedAt: Date | null
}
