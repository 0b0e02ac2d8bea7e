import { STATUS_CODES } from 'node:http'

/**
 * The label of a request's result: `ok`, `not_found` or the reason it failed. A client service may answer with any status of three digits.
 * Those without a name share one label, so that the number of series is bounded.
 */
export function fetchResult(result: string): string {
  const [, status] = /^http_(\d+)$/.exec(result) ?? []
  return status === undefined || STATUS_CODES[status] ? result : 'http_other'
}
