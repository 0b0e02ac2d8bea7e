/** The three headers of a signed callback. */
export interface SignedHeaders {
  readonly id: 'webhook-id' | 'svix-id'
  readonly timestamp: 'webhook-timestamp' | 'svix-timestamp'
  readonly signature: 'webhook-signature' | 'svix-signature'
}

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
export const STANDARD_HEADERS: SignedHeaders = { id: 'webhook-id', timestamp: 'webhook-timestamp', signature: 'webhook-signature' }

/** The older names, which the libraries of Svix send. They sign the same bytes in the same way. */
export const SVIX_HEADERS: SignedHeaders = { id: 'svix-id', timestamp: 'svix-timestamp', signature: 'svix-signature' }

/**
 * Returns the names that count in a request: those of Svix, unless the request has any of the standard ones. A request cannot mix them, so the
 * id that was signed is the id that serves as the idempotency key.
 */
export function signedHeadersOf(headers: Readonly<Record<string, unknown>>): SignedHeaders {
  const isStandard = Object.values(STANDARD_HEADERS).some(name => headers[name] !== undefined)
  return isStandard || headers[SVIX_HEADERS.id] === undefined ? STANDARD_HEADERS : SVIX_HEADERS
}
