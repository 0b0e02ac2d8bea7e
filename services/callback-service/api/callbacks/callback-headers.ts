import { MIMEType } from 'node:util'
import type { Request } from 'express'
import { HttpProblem } from '#foundation/http/problems.ts'
import { STANDARD_HEADERS, SVIX_HEADERS } from '../../domain/accepting/signed-headers.ts'

/** Headers that a callback may have only once. Node takes the first of two Content-Types and joins two of the others. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set([
  'content-type',
  'idempotency-key',
  ...Object.values(STANDARD_HEADERS),
  ...Object.values(SVIX_HEADERS),
])

/** Refuses two headers of the same name, because a proxy on the way may have read the other one. */
export function requireSingleHeaders({ rawHeaders }: Request): void {
  const seen = new Set<string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    if (!SINGLE_HEADERS.has(name)) continue
    if (seen.has(name)) throw new HttpProblem('bad_request', `The header ${name} must not appear twice.`)
    seen.add(name)
  }
}

/** Refuses a body that is not JSON in UTF-8. Every `application/*+json` type is JSON. */
export function requireJson(request: Request): void {
  const header = request.headers['content-type']
  if (header === 'application/json') return
  if (header !== undefined && isJson(header)) return
  const accepted = request.method === 'PATCH' ? 'Accept-Patch' : 'Accept-Post'
  throw new HttpProblem('unsupported_media_type', 'Send application/json in UTF-8.', { headers: { [accepted]: 'application/json' } })
}

function isJson(header: string): boolean {
  let type: MIMEType
  try {
    type = new MIMEType(header)
  } catch {
    return false
  }
  const isJsonType = type.essence === 'application/json' || (type.type === 'application' && type.subtype.endsWith('+json'))
  return isJsonType && (type.params.get('charset') ?? 'utf-8').toLowerCase() === 'utf-8'
}
