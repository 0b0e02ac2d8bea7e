import { isIP } from 'node:net'
import type { Request, RequestHandler } from 'express'
import { excerpt, HttpProblem } from '../http/problems.ts'

/** Puts `refuseForeignPages` before a whole port. */
export function requireOperator(allowedHosts: string): RequestHandler {
  const guard = refuseForeignPages(allowedHosts)
  return (request, _response, next) => {
    guard(request)
    next()
  }
}

/**
 * Refuses requests that a foreign web page makes an operator's browser send. Its owner may point a host name at this machine; `Host` shows that name.
 * The page may also send requests from its own site; `Sec-Fetch-Site` and `Origin` show that site.
 * @param allowedHosts host names that requests may use, separated by spaces, in addition to IP addresses and localhost
 */
export function refuseForeignPages(allowedHosts: string): (request: Request) => void {
  const names = new Set(['localhost', ...allowedHosts.toLowerCase().split(/\s+/).filter(Boolean)])
  return request => {
    const host = hostName(request.headers.host ?? '')
    if (isIP(host) === 0 && !names.has(host)) {
      const detail = `${JSON.stringify(excerpt(host))} is not an IP address, localhost or a name in admin.allowedHosts.`
      throw new HttpProblem('host_not_allowed', detail)
    }
    if (isFromAnotherPage(request)) throw new HttpProblem('cross_site', 'A page of another site must not do this.')
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
