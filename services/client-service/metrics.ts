import { Counter, Gauge, type Registry } from '#foundation/telemetry/metrics.ts'

/** What the client service counts. docs/operations.md says how to read it. */
export function clientMetrics(registry: Registry, now: { readonly held: () => number; readonly outstanding: () => number }) {
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  gauge('objects_held_answers', 'Questions for objects that wait for their answer.', now.held)
  gauge('emitter_outstanding_callbacks', 'Callbacks that are not taken yet.', now.outstanding)
  return {
    answered: new Counter({
      name: 'objects_answered_total',
      help: 'Answers to questions for objects by the fault put into them; none: a good answer.',
      labelNames: ['fault'],
      registers,
    }),
    emitted: new Counter({
      name: 'emitter_callbacks_total',
      help: 'Callbacks by what became of them: taken, refused (4xx), skipped (too many outstanding), abandoned (by a stop).',
      labelNames: ['outcome'],
      registers,
    }),
    retries: new Counter({ name: 'emitter_retries_total', help: 'Times a callback was sent again.', registers }),
  }
}
