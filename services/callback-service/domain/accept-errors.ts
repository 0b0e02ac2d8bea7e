/** More callbacks are waiting for a commit than is good for them. The sender is to come back a little later. */
export class OverloadedError extends Error {
  readonly code = 'overloaded'
  readonly retryAfterSeconds: number

  constructor(message: string, { retryAfterSeconds = 1, ...options }: ErrorOptions & { readonly retryAfterSeconds?: number } = {}) {
    super(message, options)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** An idempotency key names one callback for as long as that is remembered. */
export class IdempotencyKeyReusedError extends Error {
  readonly code = 'idempotency_key_reused'
}
