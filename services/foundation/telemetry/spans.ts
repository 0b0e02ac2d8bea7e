import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { RandomIdGenerator } from '@opentelemetry/sdk-trace'
import { withDecision } from './sampler.ts'

export type { Context, Link, Span }
export { context, SpanKind, trace }

/** The trace context of a piece of work, in the form that rows store and headers carry. */
export interface TraceCarrier {
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  /** Baggage of other systems, byte for byte. The service only passes it on. */
  readonly baggage?: string | undefined
}

const w3c = new W3CTraceContextPropagator()
const BAGGAGE = createContextKey('baggage header')

/** Runs `work` in a new span, which becomes the active one. An error marks the span and reaches the caller. */
export async function inSpan<T>(
  name: string,
  options: { kind?: SpanKind; parent?: Context; attributes?: Attributes; links?: Link[] },
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const parent = options.parent ?? context.active()
  const span = startSpan(name, options)
  try {
    return await context.with(trace.setSpan(parent, span), work, undefined, span)
  } catch (error) {
    failSpan(span, error)
    throw error
  } finally {
    span.end()
  }
}

/** Starts a span that the caller ends. Pass `startTime`, in epoch milliseconds, if the work began earlier. */
export function startSpan(
  name: string,
  options: { kind?: SpanKind; parent?: Context; attributes?: Attributes; links?: Link[]; startTime?: number },
): Span {
  const { parent = context.active(), ...rest } = options
  // Gets the tracer for each span. A stored one would belong to the first Telemetry, even after a second one has started.
  return trace.getTracer('answerback').startSpan(name, rest, parent)
}

const ids = new RandomIdGenerator()

/** Makes a span that nobody records. It only provides ids for log lines and problem answers. */
export function unrecordedSpan(parent: Context): Span {
  const traceId = trace.getSpanContext(parent)?.traceId ?? ids.generateTraceId()
  return trace.wrapSpanContext({ traceId, spanId: ids.generateSpanId(), traceFlags: 0 })
}

export function failSpan(span: Span, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error)
  span.setStatus({ code: SpanStatusCode.ERROR, message })
  span.setAttribute('error.type', errorType(error))
}

/**
 * Reads the context of a request from its headers. W3C headers win over B3 headers. Without either, a new trace starts. B3 headers may have no ids,
 * but only the decision whether to record the new trace (https://github.com/openzipkin/b3-propagation#sampling-state).
 */
export function contextFromHeaders(given: Headers): Context {
  const headers =
    given['traceparent'] === undefined && given['b3'] === undefined && given['x-b3-traceid'] === undefined ? given : bounded(given)
  const { baggage } = headers
  const decision = decisionIn(headers)
  // Not the active context: a request that its sender pipelined may begin in the context of the one before, which can be another sender's.
  let active = propagation.extract(ROOT_CONTEXT, headers)
  if (decision !== undefined) active = withDecision(active, decision)
  return typeof baggage === 'string' ? active.setValue(BAGGAGE, baggage) : active
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** Trace headers, and the most characters that count of each. Ids need at most 100. tracestate is cut to 512 later, by whole members. */
const MAX_TRACE_HEADERS: Readonly<Record<string, number>> = {
  traceparent: 256,
  tracestate: 1024,
  b3: 256,
  'x-b3-traceid': 256,
  'x-b3-spanid': 256,
  'x-b3-parentspanid': 256,
}

/** Leaves out trace headers that are too long. Ids are slices of the header, which keep all of it in memory as long as their span waits. */
function bounded(headers: Headers): Headers {
  const tooLong = Object.entries(MAX_TRACE_HEADERS).filter(([name, max]) => (headers[name]?.length ?? 0) > max)
  return tooLong.length === 0 ? headers : { ...headers, ...Object.fromEntries(tooLong.map(([name]) => [name, undefined])) }
}

/** Reads the decision of B3 headers. `d` and the flag 1 force a trace. Some senders write a boolean. */
function decisionIn(headers: Headers): boolean | undefined {
  const state = String(headers['x-b3-flags'] === '1' ? 'd' : (headers['b3'] ?? headers['x-b3-sampled']))
  if (['0', 'false'].includes(state)) return false
  return ['1', 'd', 'true'].includes(state) || undefined
}

/** Returns the part of a context that another process needs to continue the trace. Rows store it, and headers carry it. */
export function carrierOf(active: Context): TraceCarrier {
  const carrier: Record<string, string> = {}
  w3c.inject(active, carrier, setEntry)
  const baggage = active.getValue(BAGGAGE)
  if (typeof baggage === 'string') carrier['baggage'] = baggage
  return carrier
}

export function contextFromCarrier(carrier: TraceCarrier): Context {
  const active = w3c.extract(ROOT_CONTEXT, carrier, getEntry)
  return carrier.baggage === undefined ? active : active.setValue(BAGGAGE, carrier.baggage)
}

/** Whether the service records and sends the spans of this context. */
export function isSampled(active: Context): boolean {
  return ((trace.getSpanContext(active)?.traceFlags ?? 0) & 1) === 1
}

const setEntry = {
  set: (carrier: Record<string, string>, key: string, value: string): void => {
    carrier[key] = value
  },
}

const getEntry = {
  get: (carrier: TraceCarrier, key: string): string | undefined => carrier[key as keyof TraceCarrier],
  keys: (carrier: TraceCarrier): string[] => Object.keys(carrier),
}

function errorType(error: unknown): string {
  if (error instanceof Error) return 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return typeof error
}
