import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { HttpProblem } from '#foundation/http/problems.ts'
import type { Gate } from '#foundation/http/route.ts'

/** Makes the token of the live page. It lasts as long as the process. */
export function newPageToken(): string {
  return randomBytes(16).toString('base64url')
}

/**
 * Makes the gate of the admin port. What belongs to operators is free there. Everything else needs what it needs at the port for senders, and a
 * change also needs the token of the live page. A page of another site cannot read the token, and cannot send the header.
 * @param keyed the gate for routes with callers
 */
export function adminGate(token: string, keyed: Gate): Gate {
  const expected = digest(token)
  return (request, response, route) => {
    if (route.access === 'operator' || route.access === 'public') return undefined
    if (route.method !== 'GET' && !timingSafeEqual(digest(request.get('x-page-token') ?? ''), expected)) {
      throw new HttpProblem('invalid_page_token', 'Send X-Page-Token with the token of GET /page/session.')
    }
    return keyed(request, response, route)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
