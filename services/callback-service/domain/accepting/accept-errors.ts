/** Too many callbacks are waiting for a commit. The sender should send this one again a little later. */
export class OverloadedError extends Error {
  readonly code = 'overloaded'
}

/** Another callback with different object ids already has this idempotency key. The database remembers a key as long as its callback. */
export class IdempotencyKeyReusedError extends Error {
  readonly code = 'idempotency_key_reused'

  constructor(message = 'This idempotency key came with other object_ids before.') {
    super(message)
  }
}
