/** More callbacks are waiting for a commit than is good for them. The sender is to come back a little later. */
export class OverloadedError extends Error {
  readonly code = 'overloaded'
}

/** An idempotency key names one callback for as long as that is remembered. */
export class IdempotencyKeyReusedError extends Error {
  readonly code = 'idempotency_key_reused'

  constructor(message = 'This idempotency key came with other object_ids before.') {
    super(message)
  }
}
