import {
  type Context,
  carrierOf,
  contextFromCarrier,
  failSpan,
  isSampled,
  type Span,
  startSpan,
  trace,
} from '#foundation/telemetry/tracing.ts'

/** A statement stores objects of several callbacks: each callback's trace gets one span for it. */
export class StoreSpans {
  readonly #spans = new Map<string, { span: Span; traceparent: string | undefined; count: number }>()

  /** @returns what the expiry of an object will hang on; undefined where the trace is not recorded */
  traceparentFor(parent: Context): string | undefined {
    const parentId = trace.getSpanContext(parent)?.spanId
    if (parentId === undefined || !isSampled(parent)) return undefined
    let entry = this.#spans.get(parentId)
    if (!entry) {
      const span = startSpan('store objects', {
        parent,
        attributes: { 'db.system.name': 'postgresql', 'db.operation.name': 'INSERT', 'db.collection.name': 'objects' },
      })
      entry = { span, traceparent: carrierOf(trace.setSpan(parent, span)).traceparent, count: 0 }
      this.#spans.set(parentId, entry)
    }
    entry.count += 1
    return entry.traceparent
  }

  end(): void {
    for (const { span, count } of this.#spans.values()) span.setAttribute('answerback.object.count', count).end()
  }

  /** Ends them as those of a statement that failed. */
  fail(error: unknown): void {
    for (const { span } of this.#spans.values()) failSpan(span, error)
    this.end()
  }
}

/** An object that was deleted: how late, and in which trace it had been stored (undefined or null: in none that is recorded). */
export interface ExpiredRow {
  readonly late_ms: number
  readonly traceparent: string | null
}

/** Ends each trace that stored these objects with the span of their deletion: one a trace and statement, not one an object. */
export function traceExpiry(expired: readonly ExpiredRow[], startTime: number): void {
  const byTrace = Map.groupBy(
    expired.filter(row => row.traceparent !== null),
    row => row.traceparent as string,
  )
  for (const [traceparent, rows] of byTrace) {
    const span = startSpan('expire objects', {
      parent: contextFromCarrier({ traceparent }),
      startTime,
      attributes: {
        'db.system.name': 'postgresql',
        'db.operation.name': 'DELETE',
        'db.collection.name': 'objects',
        'answerback.object.count': rows.length,
        'answerback.expiry.lateness_ms': Math.max(...rows.map(row => row.late_ms)),
      },
    })
    span.end()
  }
}
