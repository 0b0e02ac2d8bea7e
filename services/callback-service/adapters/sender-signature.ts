import { Webhook } from 'standardwebhooks'

/**
 * Checks that a request was signed by somebody who knows one of the secrets, as Standard Webhooks defines it: HMAC-SHA-256 over
 * `webhook-id`, `webhook-timestamp` (within five minutes of now) and the body's very bytes, any of the signatures in `webhook-signature`;
 * compared in constant time (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
 */
export class SenderSignature {
  readonly #webhooks: readonly Webhook[]

  /** @param secrets `whsec_` and base64, or base64 alone; several while they are rotated. @throws {Error} one is neither */
  constructor(secrets: readonly string[]) {
    this.#webhooks = secrets.map(secret => new Webhook(secret))
  }

  /** @returns why the request is not to be believed; undefined when it is */
  problem(body: Buffer, headers: Readonly<Record<string, string | string[] | undefined>>): string | undefined {
    const signed = Object.fromEntries(
      ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(name => [name, String(headers[name] ?? '')]),
    )
    let reason: string | undefined = 'no secret is set'
    for (const webhook of this.#webhooks) {
      reason = problemBy(webhook, body, signed)
      if (reason === undefined) return undefined
    }
    return reason
  }
}

function problemBy(webhook: Webhook, body: Buffer, headers: Record<string, string>): string | undefined {
  try {
    webhook.verify(body, headers, { jsonParse: false })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
