import { isIP } from 'node:net'
import type { Request, RequestHandler } from 'express'
import { excerpt, HttpProblem } from '../http/problems.ts'

/**
 * Puts `refuseForeignPages` before a whole port.
 * @param doors paths of pages that a link of another site may lead to. They show nothing by themselves, and cannot be framed
 */
export function requireOperator(allowedHosts: string, doors: readonly string[] = []): RequestHandler {
  const guard = refuseForeignPages(allowedHosts, request => doors.includes(request.path) && isFollowedLink(request))
  return (request, _response, next) => {
    guard(request)
    next()
  }
}

/**
 * Refuses requests that a foreign web page makes an operator's browser send. Its owner may point a host name at this machine; `Host` shows that name.
 * The page may also send requests from its own site; `Sec-Fetch-Site` and `Origin` show that site.
 * @param allowedHosts host names that requests may use, separated by spaces, in addition to IP addresses and localhost
 * @param isWelcome lets a request of another page through
 */
export function refuseForeignPages(allowedHosts: string, isWelcome = (_: Request): boolean => false): (request: Request) => void {
  const names = new Set(['localhost', ...allowedHosts.toLowerCase().split(/\s+/).filter(Boolean)])
  return request => {
    const host = hostName(request.headers.host ?? '')
    if (isIP(host) === 0 && !names.has(host)) {
      const detail = `${JSON.stringify(excerpt(host))} is not an IP address, localhost or a name in admin.allowedHosts.`
      throw new HttpProblem('host_not_allowed', detail)
    }
    if (isFromAnotherPage(request) && !isWelcome(request)) throw new HttpProblem('cross_site', 'A page of another site must not do this.')
  }
}

/** Returns the host in a `Host` header, without its port and without the brackets of an IPv6 address. */
function hostName(host: string): string {
  return host
    .toLowerCase()
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
}

/** Pages of other ports of this machine count as other pages, although browsers say that they are of the same site. */
function isFromAnotherPage({ headers }: Request): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  return headers.origin !== undefined && headers.origin !== `http://${headers.host}` && headers.origin !== `https://${headers.host}`
}

/** Whether somebody followed a link, so that the browser shows the answer in a window of its own. */
function isFollowedLink({ method, headers }: Request): boolean {
  const isShown = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
  return method === 'GET' && isShown && headers.origin === undefined
}
