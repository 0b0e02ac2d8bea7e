import type { ServerResponse } from 'node:http'
import { context, trace } from '@opentelemetry/api'
import type { ProblemKind } from './problem-kinds.ts'
import type { HttpProblem } from './problems.ts'
import { requestIdOf } from './request-id.ts'

/** A whole answer, ready to be written. */
export interface Answer {
  readonly status: number
  /** The media type; none where there is no body. */
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** JSON.rawJSON (ECMAScript 2026), which TypeScript does not know yet. */
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown }

/** JSON with ids as numbers, exact: a bigint is written digit by digit. It costs several times JSON.stringify, which does for what holds no ids. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_key, member) => (typeof member === 'bigint' ? rawJSON(String(member)) : member))
}

/** @param body JSON already: whoever has many ids writes them faster than `exactJson` */
export function jsonAnswer(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, type: 'application/json; charset=utf-8', headers, body }
}

/**
 * A problem as an answer (RFC 9457). `type` is a reference relative to the request: the page about the code, on whatever host was asked.
 * `operation_id` is the trace id of the request, under which its spans and log lines are found; `request_id` is its X-Request-ID.
 * @param instance the path that was asked for, where it is known
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

/** Where a problem code is explained. */
export function problemHref(code: string): string {
  return `/v1/errors/${code}`
}

/** All headers of an answer, in the order in which they are written. */
export function headersOf({ type, headers, body }: Answer): Record<string, string | number> {
  return { ...headers, ...(type !== undefined && { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }) }
}

/** Writes an answer, beside the headers that the response has already. */
export function writeAnswer(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, headersOf(answer)).end(answer.body)
}
