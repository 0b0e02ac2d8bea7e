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

/** The trace context of a piece of work as it is stored in a row or sent in headers. */
export interface TraceCarrier {
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  /** Other systems' baggage, byte for byte as it came: we only pass it on. */
  readonly baggage?: string | undefined
}

const w3c = new W3CTraceContextPropagator()
const BAGGAGE = createContextKey('baggage header')

/** Runs `work` in a new span, which becomes the active one; an error thrown marks the span and goes on. */
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

/** Starts a span that the caller ends. `startTime` as epoch milliseconds where the work began earlier. */
export function startSpan(
  name: string,
  options: { kind?: SpanKind; parent?: Context; attributes?: Attributes; links?: Link[]; startTime?: number },
): Span {
  const { parent = context.active(), ...rest } = options
  // Asked for each time: a tracer that is kept stays with the first Telemetry, also when that has stopped and another started.
  return trace.getTracer('answerback').startSpan(name, rest, parent)
}

const ids = new RandomIdGenerator()

/** A span that only lends its ids, for log lines and problem answers. */
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
 * The context a request arrives in. W3C headers win over B3 ones; none gives the start of a new trace. B3 may bring no ids and only a decision
 * whether that is recorded (https://github.com/openzipkin/b3-propagation#sampling-state).
 */
export function contextFromHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Context {
  const { baggage } = headers
  const decision = decisionIn(headers)
  let active = propagation.extract(context.active(), headers)
  if (decision !== undefined) active = withDecision(active, decision)
  return typeof baggage === 'string' ? active.setValue(BAGGAGE, baggage) : active
}

/** `d` and the flag 1 ask for a trace whatever others decide; some senders write the decision as a boolean. */
function decisionIn(headers: Readonly<Record<string, string | string[] | undefined>>): boolean | undefined {
  const state = String(headers['x-b3-flags'] === '1' ? 'd' : (headers['b3'] ?? headers['x-b3-sampled']))
  if (['0', 'false'].includes(state)) return false
  return ['1', 'd', 'true'].includes(state) || undefined
}

/** What must be kept of a context, or sent with a request, so that work in another process goes on in the same trace. */
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

/** Whether spans of this context are recorded and sent. */
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
