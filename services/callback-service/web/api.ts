import { parseExactJson } from './exact-json.ts'
import { accessKey, loadSession, session } from './session.ts'

/** An answer of the service that is a problem (RFC 9457). */
export class Problem extends Error {
  readonly status: number
  /** Stable. Code tells problems apart by it. */
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The service did not answer. */
export class Unreachable extends Error {}

export interface RequestOptions {
  readonly method?: string
  /** JSON, or a value to write as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Time until the service counts as unreachable. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 15_000

/**
 * Sends a request to the port that served the page.
 * @param path with its query, such as `v1/callbacks?limit=10`
 * @returns the body; undefined if there is none. Ids beyond 2^53 are strings
 * @throws {Problem} @throws {Unreachable}
 */
export async function ask<T>(path: string, options: RequestOptions = {}): Promise<T> {
  try {
    return await send<T>(path, options)
  } catch (error) {
    // The process has restarted since the token was fetched. It has refused the change, so it is safe to repeat.
    if (!(error instanceof Problem && error.code === 'invalid_page_token')) throw error
    await loadSession().catch(unreachable)
    return send<T>(path, options)
  }
}

async function send<T>(path: string, { method = 'GET', body, headers, timeoutMs = TIMEOUT_MS }: RequestOptions): Promise<T> {
  const response = await fetch(path.replace(/^\//, ''), {
    method,
    headers: { ...ownHeaders(method), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    cache: 'no-store',
    signal: AbortSignal.timeout(timeoutMs),
  }).catch(unreachable)
  const text = await response.text().catch(unreachable)
  if (!response.ok) throw problemOf(response, text)
  return (text === '' ? undefined : parseExactJson(text)) as T
}

function ownHeaders(method: string): Record<string, string> {
  return {
    ...(accessKey.value && { Authorization: `Bearer ${accessKey.value}` }),
    // Without a body too: the service takes no change from a browser that a form could have sent.
    ...(method !== 'GET' && { 'X-Page-Token': session.value?.token ?? '', 'Content-Type': 'application/json' }),
  }
}

function problemOf({ status, statusText }: Response, text: string): Problem {
  try {
    const { code, detail, title } = JSON.parse(text) as { code?: string; detail?: string; title?: string }
    return new Problem(status, code ?? 'unknown', detail ?? title ?? `HTTP ${status}`)
  } catch {
    return new Problem(status, 'unknown', statusText || `HTTP ${status}`)
  }
}

function unreachable(cause: unknown): never {
  throw new Unreachable('The service does not answer.', { cause })
}

/** Adds a query to a path. Undefined and empty members are left out. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const members = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
  return members.length === 0 ? path : `${path}?${new URLSearchParams(members.map(([name, value]) => [name, String(value)]))}`
}
