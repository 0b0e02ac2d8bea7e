import { setTimeout as sleep } from 'node:timers/promises'
import { range } from '../support/callbacks.ts'
import type { Outcome, SentCallback } from './history.ts'
import { between, type Random } from './random.ts'

export interface SenderOptions {
  /** Where the replicas are now; undefined for one that is down. */
  readonly urls: () => readonly (string | undefined)[]
  readonly perSecond: number
  readonly random: Random
  /** Begins every key: other runs on the same database have other keys. */
  readonly prefix: string
}

interface Sending extends SentCallback {
  readonly outcomes: Outcome[]
}

const OBJECTS = 5000
const MAX_IDS = 20
const TIMEOUT_MS = 3000
const SHARES = { bad: 0.02, atOnce: 0.04, again: 0.6 }
const AGAIN_MS = [50, 3000] as const

/**
 * Sends callbacks at a fixed rate, to one replica after the other, and remembers what it was told. Each has a key of its own. Some are sent to
 * all replicas at once; some must be refused; what nobody said yes or no to is sent again, mostly, with the same key, to another replica.
 */
export class Sender {
  readonly sent: Sending[] = []
  readonly #options: SenderOptions
  readonly #underWay = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #loop: Promise<void> = Promise.resolve()

  constructor(options: SenderOptions) {
    this.#options = options
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** Sends nothing more; resolves when whatever is under way is answered. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loop
    await Promise.all(this.#underWay)
  }

  async #run(): Promise<void> {
    const started = performance.now()
    for (let count = 0; !this.#stop.signal.aborted; count += 1) {
      await sleep(Math.max(0, started + (count / this.#options.perSecond) * 1000 - performance.now()))
      this.#send(count)
    }
  }

  #send(count: number): void {
    const { random, prefix, urls } = this.#options
    const isBad = random() < SHARES.bad
    const callback: Sending = { key: `${prefix}-${count}`, objectIds: distinctIds(random), isBad, outcomes: [] }
    this.sent.push(callback)
    const copies = random() < SHARES.atOnce ? urls().length : 1
    for (const copy of range(0, copies)) this.#track(this.#post(callback, count + copy))
  }

  async #post(callback: Sending, turn: number): Promise<void> {
    const { urls, random } = this.#options
    const targets = urls()
    const outcome = await post(targets[turn % targets.length], callback)
    callback.outcomes.push(outcome)
    if (outcome.kind !== 'info' || random() > SHARES.again) return
    await sleep(between(random, ...AGAIN_MS))
    if (!this.#stop.signal.aborted) await this.#post(callback, turn + 1)
  }

  #track(posted: Promise<void>): void {
    const tracked = posted.finally(() => this.#underWay.delete(tracked))
    this.#underWay.add(tracked)
  }
}

async function post(url: string | undefined, { key, objectIds, isBad }: SentCallback): Promise<Outcome> {
  if (url === undefined) return { kind: 'info', reason: 'down' }
  try {
    const response = await fetch(`${url}/callback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ object_ids: isBad ? [...objectIds, 'none'] : objectIds }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await response.text()
    if (response.status === 202) {
      const { id, durability } = JSON.parse(text) as { id: string; durability: 'database' | 'spooled' }
      return { kind: 'ok', id, durability }
    }
    return response.status < 500 ? { kind: 'fail', status: response.status } : { kind: 'info', reason: String(response.status) }
  } catch (error) {
    return { kind: 'info', reason: reasonOf(error) }
  }
}

/** What undici says of a connection stands in the cause. */
function reasonOf(error: unknown): string {
  const { name, cause } = error as { name?: string; cause?: { code?: string } }
  return cause?.code ?? name ?? String(error)
}

function distinctIds(random: Random): number[] {
  return [...new Set(range(0, between(random, 1, MAX_IDS)).map(() => between(random, 1, OBJECTS)))]
}
