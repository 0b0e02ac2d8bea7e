import { DEFAULT_WORKSPACE } from '../workspaces/workspace.ts'

export const MAX_KEY_LENGTH = 255
const VALID = new RegExp(`^[\\x20-\\x7e]{1,${MAX_KEY_LENGTH}}$`)

/**
 * Joins an idempotency key with its workspace, because each workspace has its own keys. In the workspace `default` it is the bare key, as it was
 * before there were workspaces. Neither a key nor a name contains a newline.
 */
export function scopedKey(workspace: string, key: string): string {
  return workspace === DEFAULT_WORKSPACE ? key : `${workspace}\n${key}`
}

/** Takes the workspace off a key that `scopedKey` made. */
export function bareKey(scopedKey: string): string {
  return scopedKey.slice(scopedKey.indexOf('\n') + 1)
}

export class InvalidIdempotencyKeyError extends Error {
  readonly code = 'invalid_idempotency_key'
}

/**
 * Reads the header `Idempotency-Key` (IETF draft-ietf-httpapi-idempotency-key-header) or, if it is absent, `webhook-id` (Standard
 * Webhooks) or `svix-id`. The draft's quoted form and the bare form that most senders use name the same key.
 * @returns undefined when the request carries neither
 * @throws {InvalidIdempotencyKeyError} the key is empty, over 255 characters long, or not printable ASCII
 */
export function parseIdempotencyKey(idempotencyKey: string | undefined, webhookId: string | undefined): string | undefined {
  const header = idempotencyKey ?? webhookId
  if (header === undefined) return undefined
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(header)
  const key = quoted?.[1] !== undefined ? quoted[1].replace(/\\(.)/g, '$1') : header
  if (!VALID.test(key)) throw new InvalidIdempotencyKeyError(`An idempotency key has 1 to ${MAX_KEY_LENGTH} characters of printable ASCII.`)
  return key
}
