import { type HrTime, SpanStatusCode } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { EXPORT_TIMEOUT_MS } from './export-within.ts'

export const EXPORTERS = ['zipkin', 'otlp', 'none'] as const
export type ExporterName = (typeof EXPORTERS)[number]

const SHORTEST: HrTime = [0, 1000]

/** Makes an exporter that sends spans to Zipkin as JSON v2 (https://zipkin.io/zipkin-api/#/default/post_spans). Loads OpenTelemetry's exporter. */
export async function zipkinExporter(url: string): Promise<SpanExporter> {
  const { ZipkinExporter } = await import('@opentelemetry/exporter-zipkin')
  const exporter = new ZipkinExporter({ url })
  return {
    export: (spans, done) => exporter.export(spans.map(asZipkinShowsIt), done),
    shutdown: () => exporter.shutdown(),
  }
}

/**
 * Makes an exporter that sends spans to an OpenTelemetry collector as protobuf over HTTP. OTEL_EXPORTER_OTLP_* configure it.
 * Loads OpenTelemetry's exporter.
 * @param timeoutMillis maximum time for one batch, including repeated attempts
 */
export async function otlpExporter(timeoutMillis = EXPORT_TIMEOUT_MS): Promise<SpanExporter> {
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto')
  return new OTLPTraceExporter({ timeoutMillis })
}

/**
 * Adapts a span to Zipkin. The exporter leaves out links and errors without a message.
 * Zipkin refuses a start with a fraction of a microsecond and a duration that rounds to 0.
 */
function asZipkinShowsIt(span: ReadableSpan): ReadableSpan {
  const { startTime, duration, status, parentSpanContext } = span
  return {
    name: span.name,
    kind: span.kind,
    spanContext: () => span.spanContext(),
    ...(parentSpanContext && { parentSpanContext }),
    startTime: [startTime[0], Math.round(startTime[1] / 1000) * 1000],
    endTime: span.endTime,
    status: status.code === SpanStatusCode.ERROR && !status.message ? { ...status, message: 'true' } : status,
    attributes: span.links.length > 0 ? { ...span.attributes, ...linkTags(span) } : span.attributes,
    links: span.links,
    events: span.events,
    duration: duration[0] === 0 && duration[1] < SHORTEST[1] ? SHORTEST : duration,
    ended: span.ended,
    resource: span.resource,
    instrumentationScope: span.instrumentationScope,
    droppedAttributesCount: span.droppedAttributesCount,
    droppedEventsCount: span.droppedEventsCount,
    droppedLinksCount: span.droppedLinksCount,
  }
}

/** Turns links into tags, because Zipkin has no links. A person can paste such a tag into Zipkin's search field. */
function linkTags({ links }: ReadableSpan): Record<string, string> {
  return Object.fromEntries(links.map(({ context }, i) => [`link.${i}`, `${context.traceId}/${context.spanId}`]))
}
