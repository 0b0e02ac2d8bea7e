export const MAX_KEY_LENGTH = 255
const VALID = new RegExp(`^[\\x20-\\x7e]{1,${MAX_KEY_LENGTH}}$`)

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
