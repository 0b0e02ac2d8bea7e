import { Store } from './store.ts'

/** What `GET /page/session` says. */
export interface Session {
  readonly token: string
  readonly needs_key: boolean
  readonly trace_url: string | null
  readonly has_switches: boolean
  readonly sender_port: number
  /** Changes when a file of the page does. */
  readonly version: string
  readonly process: { readonly host: string; readonly pid: number; readonly started_at: string }
}

const KEY = 'answerback-key'

/** The session with the process that answers. It changes when the process restarts; undefined until the first answer. */
export const session = new Store<Session | undefined>(undefined)

/** The key of the operator, where callers need one. It lives as long as the tab. */
export const accessKey = new Store<string>(sessionStorage.getItem(KEY) ?? '')

accessKey.subscribe(() => sessionStorage.setItem(KEY, accessKey.value))

/** Asks for the session again, because the token may be that of a process that has ended. @throws {Error} nobody answers, or something else does */
export async function loadSession(): Promise<Session> {
  const response = await fetch('page/session', { cache: 'no-store', signal: AbortSignal.timeout(10_000) })
  const loaded = (await response.json()) as Session & { readonly kind: string }
  if (loaded.kind !== 'PageSession') throw new Error(`HTTP ${response.status} instead of a session`)
  session.set(loaded)
  return loaded
}

/** Returns the URL of a trace in Zipkin; undefined if there is none. */
export function traceUrl(traceId: string | undefined): string | undefined {
  return traceId && session.value?.trace_url?.replace('{trace_id}', traceId)
}
