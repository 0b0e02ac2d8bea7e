import { createHmac, timingSafeEqual } from 'node:crypto'
import { SIGNATURE_TOLERANCE_SECONDS } from '../domain/accepting/signature-window.ts'

/** A sender that rotates its secrets sends two; more would only cost time before anybody is known. */
const MAX_SIGNATURES = 16

/**
 * Checks that a request was signed by somebody who knows one of the secrets, as Standard Webhooks defines it: HMAC-SHA-256 over
 * `webhook-id`, `webhook-timestamp` (within five minutes of now) and the body's very bytes, any of the signatures in `webhook-signature`;
 * compared in constant time (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
 *
 * By hand, because the package `standardwebhooks` signs the body as text: bytes that are not UTF-8 would pass for the characters they decode to.
 */
export class SenderSignature {
  readonly #keys: readonly Buffer[]

  /** @param secrets `whsec_` and base64, or base64 alone; several while they are rotated. @throws {Error} one is empty */
  constructor(secrets: readonly string[]) {
    this.#keys = secrets.map(secret => Buffer.from(secret.replace(/^whsec_/, ''), 'base64'))
    if (this.#keys.some(key => key.length === 0)) throw new Error('a secret of senders is empty')
  }

  /** @returns why the request is not to be believed; undefined when it is */
  problem(body: Buffer, headers: Readonly<Record<string, string | string[] | undefined>>): string | undefined {
    const [id, at, list] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(name => String(headers[name] ?? ''))
    if (!id || !at || !list) return 'It needs the headers webhook-id, webhook-timestamp and webhook-signature'
    const aheadSeconds = /^\d{1,12}$/.test(at) ? Number(at) - Date.now() / 1000 : Number.NaN
    if (!(Math.abs(aheadSeconds) <= SIGNATURE_TOLERANCE_SECONDS)) return 'Its webhook-timestamp is not within five minutes of now'
    const signatures = list.split(' ', MAX_SIGNATURES + 1)
    if (signatures.length > MAX_SIGNATURES) return `Its webhook-signature has more than ${MAX_SIGNATURES} signatures`
    const given = signatures.filter(signature => signature.startsWith('v1,')).map(signature => Buffer.from(signature.slice(3)))
    const isSigned = this.#keys.some(key => {
      const wanted = Buffer.from(createHmac('sha256', key).update(`${id}.${at}.`).update(body).digest('base64'))
      return given.some(signature => signature.length === wanted.length && timingSafeEqual(signature, wanted))
    })
    return isSigned ? undefined : 'None of its signatures is one of a sender we know'
  }
}
