import { type IncomingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface RawResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The code of the problem; `none` if it is none. */
  readonly code: string
  readonly body: string
}

/** Sends a request with exactly these headers, also those that `fetch` keeps to itself, such as Host and Sec-Fetch-Site. */
export function rawRequest(
  url: string,
  { method = 'GET', headers = {}, body = '' }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, async response => {
      const body = await text(response)
      const isProblem = response.headers['content-type'] === 'application/problem+json' && body !== ''
      const code = isProblem ? (JSON.parse(body) as { code: string }).code : 'none'
      resolve({ status: response.statusCode ?? 0, headers: response.headers, code, body })
    })
    sent.once('error', reject)
    // A server that grants an upgrade has let us in.
    sent.once('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode ?? 0, headers: response.headers, code: 'none', body: '' })
    })
    sent.end(body)
  })
}
