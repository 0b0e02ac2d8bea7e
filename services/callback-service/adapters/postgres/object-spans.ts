import {
  type Context,
  carrierOf,
  contextFromCarrier,
  failSpan,
  isSampled,
  type Span,
  startSpan,
  trace,
} from '#foundation/telemetry/spans.ts'

/** The spans of one statement that stores objects of several callbacks. The trace of each callback gets one span. */
export class StoreSpans {
  readonly #spans = new Map<string, { span: Span; traceparent: string | undefined; count: number }>()

  /** @returns the parent of the later span that deletes the object; undefined if the trace is not recorded */
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

  /** Ends the spans and marks them as failed. */
  fail(error: unknown): void {
    for (const { span } of this.#spans.values()) failSpan(span, error)
    this.end()
  }
}

/** An object that was deleted. */
export interface ExpiredRow {
  /** Time from its expiry to its deletion. */
  readonly late_ms: number
  /** The span that stored it; null if that trace is not recorded. */
  readonly traceparent: string | null
}

/** Adds a span for the deletion to each trace that stored these objects: one span per trace and statement, not one per object. */
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
