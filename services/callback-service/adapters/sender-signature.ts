import { createHmac, timingSafeEqual } from 'node:crypto'
import { SIGNATURE_TOLERANCE_SECONDS } from '../domain/accepting/signature-window.ts'
import { signedHeadersOf } from '../domain/accepting/signed-headers.ts'

/**
 * Maximum number of signatures to check. A sender that rotates its secrets sends two; checking more would only cost time for an unknown
 * sender.
 */
const MAX_SIGNATURES = 16

/**
 * Checks that somebody who knows one of the secrets signed a request, as Standard Webhooks defines it
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md). The signature is an HMAC-SHA-256 over
 * `webhook-id`, `webhook-timestamp` (within five minutes of now) and the exact bytes of the body. One valid signature in
 * `webhook-signature` is enough. The comparison takes constant time. Svix's names of these headers count too (`signedHeadersOf`).
 *
 * This class does not use the package `standardwebhooks`, because that signs the body as text. Different bytes that are not UTF-8 would
 * have the same signature.
 */
export class SenderSignature {
  readonly #keys: readonly Buffer[]

  /** @param secrets each is base64, with or without `whsec_` before it; several during a rotation. @throws {Error} a secret is empty */
  constructor(secrets: readonly string[]) {
    this.#keys = secrets.map(secret => Buffer.from(secret.replace(/^whsec_/, ''), 'base64'))
    if (this.#keys.some(key => key.length === 0)) throw new Error('a secret of senders is empty')
  }

  /** @returns why the request cannot be trusted; undefined if its signature is valid */
  problem(body: Buffer, headers: Readonly<Record<string, string | string[] | undefined>>): string | undefined {
    const names = signedHeadersOf(headers)
    const [id, at, list] = [names.id, names.timestamp, names.signature].map(name => String(headers[name] ?? ''))
    if (!id || !at || !list) return `It needs the headers ${names.id}, ${names.timestamp} and ${names.signature}`
    const aheadSeconds = /^\d{1,12}$/.test(at) ? Number(at) - Date.now() / 1000 : Number.NaN
    if (!(Math.abs(aheadSeconds) <= SIGNATURE_TOLERANCE_SECONDS)) return `Its ${names.timestamp} is not within five minutes of now`
    const signatures = list.split(' ', MAX_SIGNATURES + 1)
    if (signatures.length > MAX_SIGNATURES) return `Its ${names.signature} has more than ${MAX_SIGNATURES} signatures`
    const given = signatures.filter(signature => signature.startsWith('v1,')).map(signature => Buffer.from(signature.slice(3)))
    const isSigned = this.#keys.some(key => {
      const wanted = Buffer.from(createHmac('sha256', key).update(`${id}.${at}.`).update(body).digest('base64'))
      return given.some(signature => signature.length === wanted.length && timingSafeEqual(signature, wanted))
    })
    return isSigned ? undefined : 'None of its signatures comes from a known sender'
  }
}
