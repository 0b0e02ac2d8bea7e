import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { EXPORT_TIMEOUT_MS, exportWithin } from './export-within.ts'
import type { Logger } from './logger.ts'

const PAUSE_MS = 10_000

export interface OutageGuardOptions {
  /** The exporter that sends the spans. Batches wait until it has loaded. */
  readonly exporter: Promise<SpanExporter>
  /** Fields that describe the collector in the log. */
  readonly collector: Readonly<Record<string, string>>
  readonly logger: Logger
  /** Maximum time of one export (5 s). */
  readonly timeoutMs?: number
  /** Time for which the guard drops spans after a failure (10 s). */
  readonly pauseMs?: number
}

/**
 * Wraps an exporter so that a collector's outage costs one warning and little memory.
 *
 * It exports one batch at a time, until the collector answers. After a failure it drops spans unconverted for 10 s, then tries one batch.
 * If the collector is slow, spans wait in the span processor, which drops those beyond its limit.
 */
export class OutageGuard implements SpanExporter {
  readonly #options: OutageGuardOptions
  #last: Promise<void> = Promise.resolve()
  #pausedUntil = 0
  /** Why the last export failed; undefined if it succeeded. */
  #problem: string | undefined
  #dropped = 0
  #hasSent = false

  constructor(options: OutageGuardOptions) {
    this.#options = options
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    // This class logs a failure. The span processor must not log it a second time.
    this.#last = this.#last.then(() => this.#send(spans)).then(() => done({ code: ExportResultCode.SUCCESS }))
  }

  /** Why the collector cannot be reached; undefined if the last export succeeded. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Number of spans that the guard has dropped. */
  get dropped(): number {
    return this.#dropped
  }

  /** Whether the collector has ever taken spans. */
  get hasSent(): boolean {
    return this.#hasSent
  }

  forceFlush(): Promise<void> {
    return this.#last
  }

  shutdown(): Promise<void> {
    return this.#last
  }

  async #send(spans: ReadableSpan[]): Promise<void> {
    const { collector, logger, timeoutMs = EXPORT_TIMEOUT_MS, pauseMs = PAUSE_MS } = this.#options
    if (performance.now() < this.#pausedUntil) {
      this.#dropped += spans.length
      return
    }
    try {
      const exporter = await this.#options.exporter
      await exportWithin(timeoutMs, done => exporter.export(spans, done))
      if (this.#problem !== undefined) logger.info(collector, 'trace collector reached again')
      this.#problem = undefined
      this.#hasSent = true
    } catch (error) {
      this.#pausedUntil = performance.now() + pauseMs
      this.#dropped += spans.length
      const reason = reasonOf(error)
      if (this.#problem === undefined) logger.warn({ ...collector, reason }, 'trace collector cannot be reached, spans are dropped')
      this.#problem = reason
    }
  }
}

function reasonOf(error: unknown): string {
  // A connection to a host with two addresses fails with an AggregateError. It has a code but no message.
  return error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code || error.name : String(error)
}
