import type { RequestListener } from 'node:http'
import { HEALTH_PATHS } from '#foundation/http/health.ts'

/**
 * Other requests that begin in one turn of the event loop. A commit takes several turns, and a turn accepts only a few connections, so each must
 * be short: this many requests take about a millisecond. Fewer would spend more of the time on the turns themselves.
 */
const MAX_IN_TURN = 4

/**
 * Lets callbacks and probes pass at once, and all other requests in turn. Otherwise thousands that come together, such as the polls of many
 * agents, would make one turn of the event loop so long that the commits under way run out of time.
 */
export function callbacksFirst(listener: RequestListener): RequestListener {
  const waiting: Parameters<RequestListener>[] = []
  const takeTurn = (): void => {
    for (const [request, response] of waiting.splice(0, MAX_IN_TURN)) if (!response.destroyed) listener(request, response)
    if (waiting.length > 0) setImmediate(takeTurn)
  }
  return (request, response) => {
    const [path = ''] = request.url?.split('?', 1) ?? []
    if (path === '/callback' || HEALTH_PATHS.has(path)) listener(request, response)
    else if (waiting.push([request, response]) === 1) setImmediate(takeTurn)
  }
}
