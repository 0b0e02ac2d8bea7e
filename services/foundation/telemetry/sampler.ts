import { type Context, createContextKey } from '@opentelemetry/api'
import { type Sampler, SamplingDecision, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace'

/** The key of the caller's decision whether to record a new trace. */
const DECISION = createContextKey('sampling decision')

export function withDecision(active: Context, isWanted: boolean): Context {
  return active.setValue(DECISION, isWanted)
}

/** Decides which new traces to record. The caller's decision wins. Without one, a ratio decides, which may change at any time. */
export class RootSampler implements Sampler {
  #sampler: TraceIdRatioBasedSampler

  /** @param ratio share of new traces to record, 0 to 1 */
  constructor(ratio: number) {
    this.#sampler = new TraceIdRatioBasedSampler(ratio)
  }

  setRatio(ratio: number): void {
    this.#sampler = new TraceIdRatioBasedSampler(ratio)
  }

  shouldSample(parent: Context, traceId: string): ReturnType<Sampler['shouldSample']> {
    const isWanted = parent.getValue(DECISION)
    if (typeof isWanted === 'boolean') return { decision: isWanted ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD }
    return this.#sampler.shouldSample(parent, traceId)
  }

  toString(): string {
    return this.#sampler.toString()
  }
}
