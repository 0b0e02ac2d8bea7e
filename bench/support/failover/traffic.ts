import { range } from '../../../test/support/callbacks.ts'
import { callbackOf } from '../load.ts'
import { type Sent, sendAtRate } from '../sender.ts'

/** Number of objects that all callbacks name together. It is small, so that fetching does not affect the result. */
const OBJECTS = 1000
const FOR_ALL = 10
const FOREVER_SECONDS = 3600

/** A callback as its sender knows it, with one answer from each replica that it was sent to. */
export interface SentKey {
  readonly key: string
  readonly objectIds: readonly number[]
  readonly answers: readonly Sent[]
}

/**
 * Sends callbacks to each replica until it is stopped. Each callback has its own idempotency key.
 * Every tenth goes to all replicas at the same time, and must be one callback in the end.
 */
export class Traffic {
  readonly #stop = new AbortController()
  readonly #replicas: Promise<readonly Sent[]>[]
  readonly #ids: number

  constructor({ urls, perSecond, ids }: { urls: readonly string[]; perSecond: number; ids: number }) {
    this.#ids = ids
    this.#replicas = urls.map((url, replica) =>
      sendAtRate({
        url,
        perSecond: perSecond / urls.length,
        seconds: FOREVER_SECONDS,
        bodyOf: index => callbackOf(this.#objectIds(index)),
        headersOf: index => ({ 'idempotency-key': keyOf(replica, index) }),
        signal: this.#stop.signal,
      }),
    )
  }

  /** Stops the sending. Resolves with all sent callbacks when they are answered. */
  async stop(): Promise<SentKey[]> {
    this.#stop.abort()
    const replicas = await Promise.all(this.#replicas)
    const sent = replicas.flatMap((answers, replica) => answers.map((answer, index) => ({ key: keyOf(replica, index), index, answer })))
    return [...Map.groupBy(sent, ({ key }) => key)].map(([key, same]) => ({
      key,
      objectIds: this.#objectIds(same[0]?.index ?? 0),
      answers: same.map(({ answer }) => answer),
    }))
  }

  #objectIds(index: number): number[] {
    return range(1 + ((index * this.#ids) % OBJECTS), this.#ids)
  }
}

function keyOf(replica: number, index: number): string {
  return index % FOR_ALL === 0 ? `all ${index}` : `${replica} ${index}`
}
