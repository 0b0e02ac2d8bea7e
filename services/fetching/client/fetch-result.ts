import { STATUS_CODES } from 'node:http'

/**
 * Returns the metric label for the result of a request: `ok`, `not_found` or the reason of the failure. A client service may answer with
 * any status of three digits. Statuses without a name share one label, so that the number of series is bounded.
 */
export function fetchResult(result: string): string {
  const [, status] = /^http_(\d+)$/.exec(result) ?? []
  return status === undefined || STATUS_CODES[status] ? result : 'http_other'
}
