import { isIP } from 'node:net'
import type { Request, RequestHandler } from 'express'
import { excerpt, HttpProblem } from '../http/problems.ts'

/**
 * Refuses requests that a web page makes an operator's browser send: to a name that its owner points at this machine, or from another page.
 * A browser names the page's own host in `Host`, and says in `Sec-Fetch-Site` and `Origin` where a request comes from.
 * @param allowedHosts names under which the port may be asked, beside IP addresses and localhost
 */
export function requireOperator(allowedHosts: readonly string[]): RequestHandler {
  const names = new Set(['localhost', ...allowedHosts.map(name => name.toLowerCase())])
  return (request, _response, next) => {
    const host = hostName(request.headers.host ?? '')
    if (isIP(host) === 0 && !names.has(host)) {
      const detail = `${JSON.stringify(excerpt(host))} is not an IP address, localhost or a name in admin.allowedHosts.`
      throw new HttpProblem('host_not_allowed', detail)
    }
    if (isFromAnotherPage(request)) throw new HttpProblem('cross_site', 'A page of another site may not ask the admin port.')
    next()
  }
}

/** What a `Host` names, without its port and the brackets of an IPv6 address. */
function hostName(host: string): string {
  return host
    .toLowerCase()
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
}

/** Another port of the same machine is the same site, and another page all the same. */
function isFromAnotherPage({ headers }: Request): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  return headers.origin !== undefined && headers.origin !== `http://${headers.host}` && headers.origin !== `https://${headers.host}`
}
