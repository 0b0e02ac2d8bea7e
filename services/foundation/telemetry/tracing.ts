import { type ContextManager, context, DiagLogLevel, diag, logs, propagation, type TextMapPropagator, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, getBooleanFromEnv, W3CTraceContextPropagator } from '@opentelemetry/core'
import { B3Propagator } from '@opentelemetry/propagator-b3'
import {
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  type SpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Part } from '../lifecycle/parts.ts'
import { type ExporterName, otlpExporter, zipkinExporter } from './exporters.ts'
import type { Logger } from './logger.ts'
import { OutageGuard } from './outage-guard.ts'
import { RootSampler } from './sampler.ts'

const FLUSH_MS = 1000

export interface TelemetryOptions {
  /** Name of the service in traces. OTEL_SERVICE_NAME overrides it. */
  readonly serviceName: string
  readonly exporter?: ExporterName
  /** URL to which the exporter `zipkin` sends spans. Empty: it sends none. */
  readonly zipkinUrl: string
  readonly sampleRatio: number
  readonly logger: Logger
}

/**
 * Traces this process with OpenTelemetry's NodeSDK.
 *
 * NodeSDK takes 200 ms to load, so it comes last. `start()` gives all work its context, ids and spans at once. `sending` starts after
 * the listening socket: it loads NodeSDK and hands over the context manager, propagators, resource, sampler and span processor that are in use.
 * Earlier spans wait in the span processor. It sends about once a second, at most 2,048 spans in a request, and holds at most 65,536 spans.
 * Stopping flushes for at most one second. Without an exporter, it does not load NodeSDK and records a new trace only if the caller asks for it.
 */
export class Telemetry implements Part {
  readonly name = 'telemetry'
  readonly sending = { name: 'sending of spans', start: () => this.#startSdk() }
  readonly #options: TelemetryOptions
  readonly #isSending: boolean
  readonly #exporter = Promise.withResolvers<SpanExporter>()
  readonly #root: RootSampler
  readonly #shared: SharedParts
  #guard: OutageGuard | undefined
  readonly #early: TracerProvider
  #sdk: { shutdown(): Promise<void> } | undefined
  #isStopped = false

  constructor(options: TelemetryOptions) {
    const { exporter = 'zipkin', zipkinUrl, sampleRatio, serviceName } = options
    this.#options = options
    this.#isSending = (exporter === 'otlp' || (exporter === 'zipkin' && zipkinUrl !== '')) && !getBooleanFromEnv('OTEL_SDK_DISABLED')
    this.#root = new RootSampler(this.#isSending ? sampleRatio : 0)
    this.#shared = {
      contextManager: lastingContextManager(),
      textMapPropagator: new CompositePropagator({ propagators: [new B3Propagator(), new W3CTraceContextPropagator()] }),
      resource: resourceFromAttributes({ 'service.name': serviceName }).merge(
        detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }),
      ),
      sampler: new ParentBasedSampler({ root: this.#root }),
      spanProcessors: this.#isSending ? [this.#batches()] : [],
    }
    this.#early = new TracerProvider(this.#shared)
  }

  start(): void {
    context.setGlobalContextManager(this.#shared.contextManager)
    propagation.setGlobalPropagator(this.#shared.textMapPropagator)
    trace.setGlobalTracerProvider(this.#early)
  }

  /** @param ratio share of new traces to record, 0 to 1. The caller's own decision always wins */
  setSampleRatio(ratio: number): void {
    if (this.#isSending) this.#root.setRatio(ratio)
  }

  /** How the sending of spans goes; undefined if none are sent. */
  get collector(): Pick<OutageGuard, 'problem' | 'dropped' | 'hasSent'> | undefined {
    return this.#guard
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    const flushed = (this.#sdk ?? this.#early).shutdown()
    await Promise.race([flushed, new Promise(resolve => setTimeout(resolve, FLUSH_MS).unref())])
    unregister()
  }

  async #startSdk(): Promise<void> {
    if (!this.#isSending) return
    const { exporter, zipkinUrl, logger } = this.#options
    const [{ NodeSDK }, spanExporter] = await Promise.all([
      import('@opentelemetry/sdk-node'),
      exporter === 'otlp' ? otlpExporter() : zipkinExporter(zipkinUrl),
    ])
    this.#exporter.resolve(spanExporter)
    if (this.#isStopped) return
    const sdk = new NodeSDK({ ...this.#shared, autoDetectResources: false, metricReaders: [], logRecordProcessors: [] })
    logDiagnostics(logger)
    // No work runs between these two lines, so none runs without a context.
    unregister()
    sdk.start()
    this.#sdk = sdk
  }

  #batches(): SpanProcessor {
    const { exporter = 'zipkin', zipkinUrl, logger } = this.#options
    const collector = exporter === 'zipkin' ? { exporter, url: zipkinUrl } : { exporter }
    this.#guard = new OutageGuard({ exporter: this.#exporter.promise, collector, logger })
    return new BatchSpanProcessor({
      exporter: this.#guard,
      maxQueueSize: 65_536,
      maxExportBatchSize: 2048,
      scheduledDelayMillis: 1000,
      exportTimeoutMillis: 10_000,
    })
  }
}

/** The parts that NodeSDK takes over while they are in use. */
interface SharedParts {
  readonly contextManager: ContextManager
  readonly textMapPropagator: TextMapPropagator
  readonly resource: Resource
  readonly sampler: Sampler
  readonly spanProcessors: SpanProcessor[]
}

/** Makes a context manager that ignores `disable()`. Unregistering a manager disables it, and work in progress would lose its context. */
function lastingContextManager(): ContextManager {
  const manager = new AsyncLocalStorageContextManager()
  manager.disable = () => manager
  return manager
}

function unregister(): void {
  trace.disable()
  propagation.disable()
  context.disable()
  logs.disable()
}

/** Sends OpenTelemetry's own messages to our log. NodeSDK would write them to the console. */
function logDiagnostics(logger: Logger): void {
  const ignore = (): void => undefined
  const diagLogger = {
    error: (message: string) => logger.warn({ reason: message }, 'OpenTelemetry reported an error'),
    warn: (message: string) => logger.debug({ reason: message }, 'OpenTelemetry reported a warning'),
    info: ignore,
    debug: ignore,
    verbose: ignore,
  }
  diag.setLogger(diagLogger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
}
