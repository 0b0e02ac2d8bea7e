import { parse, v5, v7 } from 'uuid'

/** A fixed, arbitrary UUID. It keeps the ids of operations apart from those of callbacks. */
const NAMESPACE = parse('5b9e8f0c-0d5a-4f0e-9a37-3a1f6c0e7d52')

/**
 * Makes the id of an operation. One with an idempotency key gets its id from the key, so that a request which comes again finds the operation,
 * whichever replica answers.
 */
export function operationId(workspace: string, idempotencyKey: string | undefined): string {
  // Neither a name nor a key contains a newline.
  return idempotencyKey === undefined ? v7() : v5(Buffer.from(`${workspace}\n${idempotencyKey}`), NAMESPACE)
}
