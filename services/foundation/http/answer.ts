import type { ServerResponse } from 'node:http'
import { context, trace } from '@opentelemetry/api'
import type { ProblemKind } from './problem-kinds.ts'
import type { HttpProblem } from './problems.ts'
import { requestIdOf } from './request-id.ts'

/** A complete answer, ready to send. */
export interface Answer {
  readonly status: number
  /** The media type. An answer without a body has none. */
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** JSON.rawJSON (ECMAScript 2026). TypeScript does not know it yet. */
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown }

/** Writes JSON with exact numbers for bigints. It takes several times as long as JSON.stringify, which is enough for values without ids. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_key, member) => (typeof member === 'bigint' ? rawJSON(String(member)) : member))
}

/** Makes a JSON answer. @param body JSON text. Writing many ids by hand is faster than `exactJson` */
export function jsonAnswer(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, type: 'application/json; charset=utf-8', headers, body }
}

/**
 * Makes an answer from a problem (RFC 9457). `type` is the path of the page about the code, on the host of the request.
 * `operation_id` is the trace id of the request. Its spans and log lines carry the same id. `request_id` is its X-Request-ID.
 * @param instance path of the request, if it is known
 */
export function problemAnswer({ code, message, headers, errors }: HttpProblem, kind: ProblemKind, instance?: string): Answer {
  const active = context.active()
  const body = JSON.stringify({
    type: problemHref(code),
    title: kind.title,
    status: kind.status,
    detail: message,
    instance,
    code,
    errors,
    operation_id: trace.getSpanContext(active)?.traceId,
    request_id: requestIdOf(active),
  })
  return { status: kind.status, type: 'application/problem+json', headers, body }
}

/** Returns the path of the page that explains a problem code. */
export function problemHref(code: string): string {
  return `/v1/errors/${code}`
}

/** Returns all headers of an answer, in the order of sending. */
export function headersOf({ type, headers, body }: Answer): Record<string, string | number> {
  return { ...headers, ...(type !== undefined && { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }) }
}

/** Sends an answer. The response keeps the headers that it already has. */
export function writeAnswer(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, headersOf(answer)).end(answer.body)
}
