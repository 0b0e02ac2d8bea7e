import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'

export interface SendOptions {
  readonly url: string
  readonly perSecond: number
  readonly seconds: number
  readonly bodyOf: (index: number) => string
  readonly headersOf?: (index: number) => Readonly<Record<string, string>>
  /** Stops the sending when it is aborted. */
  readonly signal?: AbortSignal
}

/** A callback that was sent. `status` is 0 if no answer came. */
export interface Sent {
  readonly status: number
  /** Id of the accepted callback; undefined if it was not accepted. */
  readonly id: string | undefined
  /** What the answer said of the future; undefined if it was not accepted. */
  readonly forecast: { readonly backlog: number | null; readonly etaMs: number | null } | undefined
  /** Why it was not accepted: the problem's text, or the code of the broken connection. */
  readonly reason: string | undefined
  /** When it was due to leave, in epoch milliseconds. */
  readonly sentAtMs: number
  /** Time from that moment until the whole answer was read, so that a delayed start counts too. */
  readonly ms: number
}

/**
 * Sends callbacks at a fixed rate, however long their answers take, over as many connections as that needs.
 * If the sending process also measures, it must do no other work.
 * @returns the callbacks in the order in which they were sent, after all are answered
 */
export async function sendAtRate({ url, perSecond, seconds, bodyOf, headersOf, signal }: SendOptions): Promise<Sent[]> {
  const pool = new Pool(url, { connections: null, pipelining: 1 })
  const started = performance.now()
  const sending: Promise<Sent>[] = []
  try {
    for (let index = 0; index < perSecond * seconds && !signal?.aborted; index += 1) {
      const due = started + (index / perSecond) * 1000
      await untilTime(due)
      sending.push(send(pool, { body: bodyOf(index), headers: headersOf?.(index), due }))
    }
    return await Promise.all(sending)
  } finally {
    await pool.close()
  }
}

/** Waits until a time. A timer may fire a little early, so it checks the clock again. */
async function untilTime(due: number): Promise<void> {
  for (let restMs = due - performance.now(); restMs > 0; restMs = due - performance.now()) await sleep(restMs)
}

interface Sending {
  readonly body: string
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly due: number
}

async function send(pool: Pool, { body, headers, due }: Sending): Promise<Sent> {
  const answer = await post(pool, body, headers).catch(error => ({
    status: 0,
    id: undefined,
    forecast: undefined,
    reason: String(error.code ?? error.name),
  }))
  return { ...answer, sentAtMs: performance.timeOrigin + due, ms: performance.now() - due }
}

interface Body {
  readonly id?: string
  readonly backlog?: number | null
  readonly eta_ms?: number | null
  readonly code?: string
  readonly detail?: string
}

async function post(pool: Pool, body: string, headers: Sending['headers']): Promise<Pick<Sent, 'status' | 'id' | 'forecast' | 'reason'>> {
  const answer = await pool.request({
    method: 'POST',
    path: '/callback',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
  const text = await answer.body.text()
  const { id, backlog, eta_ms, code, detail } = JSON.parse(text) as Body
  return answer.statusCode === 202
    ? { status: answer.statusCode, id, forecast: { backlog: backlog ?? null, etaMs: eta_ms ?? null }, reason: undefined }
    : { status: answer.statusCode, id: undefined, forecast: undefined, reason: `${code}: ${detail}` }
}
