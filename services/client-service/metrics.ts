import { Counter, Gauge, type Registry } from '#foundation/telemetry/metrics.ts'

/** The metrics of the client service. docs/operations.md explains them. */
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
  gauge('objects_held_answers', 'Number of requests for objects that wait for their answer.', now.held)
  gauge('emitter_outstanding_callbacks', 'Number of callbacks that the callback service has not accepted yet.', now.outstanding)
  return {
    answered: new Counter({
      name: 'objects_answered_total',
      help: 'Number of answers to requests for objects, by injected fault. `none` is a good answer.',
      labelNames: ['fault'],
      registers,
    }),
    emitted: new Counter({
      name: 'emitter_callbacks_total',
      help: 'Number of callbacks by outcome: taken, refused (4xx), skipped (too many outstanding), abandoned (by a stop).',
      labelNames: ['outcome'],
      registers,
    }),
    retries: new Counter({ name: 'emitter_retries_total', help: 'Number of times that a callback was sent again.', registers }),
  }
}
