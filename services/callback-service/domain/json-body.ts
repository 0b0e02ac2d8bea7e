import type { JsonScan } from './accepting/json-scan.ts'

export const MAX_DEPTH = 32

/** The body of a request is invalid. `code` is stable; `pointer` (RFC 6901) says where the fault is. */
export class InvalidBodyError extends Error {
  readonly code: InvalidBodyCode
  readonly pointer: string | undefined

  constructor(code: InvalidBodyCode, detail: string, pointer?: string, options?: ErrorOptions) {
    super(detail, options)
    this.code = code
    this.pointer = pointer
  }
}

export type InvalidBodyCode =
  | 'empty_body'
  | 'invalid_encoding'
  | 'invalid_json'
  | 'duplicate_member'
  | 'too_deep'
  | 'not_an_object'
  | 'missing_member'
  | 'unknown_member'
  | 'wrong_type'
  | 'invalid_value'
  | 'not_an_integer'
  | 'out_of_range'
  | 'too_many_ids'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Decodes a body. @param body UTF-8, with or without a byte order mark @throws {InvalidBodyError} invalid_encoding, empty_body */
export function decodeBody(body: Uint8Array): string {
  let text: string
  try {
    text = utf8.decode(body)
  } catch (error) {
    throw new InvalidBodyError('invalid_encoding', 'The body is not UTF-8.', undefined, { cause: error })
  }
  if (text.trim() === '') throw new InvalidBodyError('empty_body', 'The body is empty. Send a JSON object.')
  return text
}

/** @throws {InvalidBodyError} invalid_json */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InvalidBodyError('invalid_json', 'The body is not a valid JSON value (RFC 8259).', undefined, { cause: error })
  }
}

/**
 * Requires that the body is an object that every JSON reader understands alike.
 * @throws {InvalidBodyError} too_deep, duplicate_member, not_an_object
 */
export function requireObject(value: unknown, scan: JsonScan): Readonly<Record<string, unknown>> {
  if (scan.depth > MAX_DEPTH) throw new InvalidBodyError('too_deep', `The body is nested more than ${MAX_DEPTH} levels deep.`)
  if (scan.duplicate !== undefined) throw new InvalidBodyError('duplicate_member', 'A member is named twice.', scan.duplicate)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidBodyError('not_an_object', `The body is ${nameOf(value)}, not an object.`, '')
  }
  return value as Readonly<Record<string, unknown>>
}

/** Names the JSON type of a value, with its article. */
export function nameOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
