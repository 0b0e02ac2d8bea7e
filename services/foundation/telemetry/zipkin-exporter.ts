import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { type ExportResult, ExportResultCode, hrTimeToMicroseconds } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import type { Logger } from './logger.ts'

const TIMEOUT_MS = 5000
const PAUSE_MS = 10_000

export interface ZipkinExporterOptions {
  readonly url: string
  readonly serviceName: string
  readonly logger: Logger
  /** How long one request may take (5 s). */
  readonly timeoutMs?: number
  /** How long spans are dropped after a failure (10 s). */
  readonly pauseMs?: number
}

const KINDS: Readonly<Partial<Record<SpanKind, string>>> = {
  [SpanKind.SERVER]: 'SERVER',
  [SpanKind.CLIENT]: 'CLIENT',
  [SpanKind.PRODUCER]: 'PRODUCER',
  [SpanKind.CONSUMER]: 'CONSUMER',
}

/**
 * Sends spans to Zipkin as its JSON v2 (https://zipkin.io/zipkin-api/#/default/post_spans).
 *
 * Written here because OpenTelemetry's own exporter drops links and waits for a silent Zipkin without end. A Zipkin that is away
 * costs one warning: after a failure spans are dropped unconverted for 10 s, then one batch is tried. A batch is done when it is
 * answered, so that a slow Zipkin makes spans wait, and be dropped, where their number is bounded: in the span processor.
 * Only the status of the answer counts: a redirect is not followed, and a body is not read.
 */
export class ZipkinExporter implements SpanExporter {
  readonly #options: ZipkinExporterOptions
  readonly #sending = new Set<Promise<void>>()
  #pausedUntil = 0
  #isAway = false

  constructor(options: ZipkinExporterOptions) {
    this.#options = options
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    // A failure is decided and logged here; the span processor must not log it a second time.
    const sending = this.#send(spans).finally(() => {
      this.#sending.delete(sending)
      done({ code: ExportResultCode.SUCCESS })
    })
    this.#sending.add(sending)
  }

  async forceFlush(): Promise<void> {
    await Promise.all(this.#sending)
  }

  shutdown(): Promise<void> {
    return this.forceFlush()
  }

  async #send(spans: readonly ReadableSpan[]): Promise<void> {
    const { url, serviceName, logger, timeoutMs = TIMEOUT_MS, pauseMs = PAUSE_MS } = this.#options
    if (performance.now() < this.#pausedUntil) return
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(spans.map(span => zipkinSpan(span, serviceName))),
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      })
      await response.body?.cancel()
      if (!response.ok) throw new Error(`Zipkin answered ${response.status}`)
      if (this.#isAway) logger.info({ url }, 'zipkin reached again')
      this.#isAway = false
    } catch (error) {
      this.#pausedUntil = performance.now() + pauseMs
      if (!this.#isAway) logger.warn({ url, reason: reasonOf(error) }, 'zipkin cannot be reached, traces are dropped until it can')
      this.#isAway = true
    }
  }
}

function zipkinSpan(span: ReadableSpan, serviceName: string): object {
  const { traceId, spanId } = span.spanContext()
  return {
    traceId,
    id: spanId,
    parentId: span.parentSpanContext?.spanId,
    name: span.name,
    kind: KINDS[span.kind],
    timestamp: Math.round(hrTimeToMicroseconds(span.startTime)),
    duration: Math.max(1, Math.round(hrTimeToMicroseconds(span.duration))),
    localEndpoint: { serviceName },
    tags: tagsOf(span),
    annotations: span.events.map(event => ({ timestamp: Math.round(hrTimeToMicroseconds(event.time)), value: event.name })),
  }
}

function tagsOf(span: ReadableSpan): Record<string, string> {
  const tags: Record<string, string> = {}
  for (const [key, value] of Object.entries(span.attributes)) tags[key] = String(value)
  if (span.status.code === SpanStatusCode.ERROR) tags['error'] = span.status.message ?? 'true'
  // Zipkin has no links; a tag that a person can paste into its search field serves instead.
  span.links.forEach((link, i) => {
    tags[`link.${i}`] = `${link.context.traceId}/${link.context.spanId}`
  })
  return tags
}

function reasonOf(error: unknown): string {
  const cause: unknown = error instanceof Error && error.cause instanceof Error ? error.cause : error
  // A host with two addresses fails with an AggregateError: no message, but a code.
  return cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || cause.name : String(cause)
}
