import { setTimeout as sleep } from 'node:timers/promises'
import { range } from '../support/callbacks.ts'
import { type Access, WORKSPACES } from './access.ts'
import type { Outcome, SentCallback } from './history.ts'
import { OBJECTS } from './objects.ts'
import { between, type Random } from './random.ts'

export interface SenderOptions {
  /** The URLs of the replicas now; undefined for a replica that is down. */
  readonly urls: () => readonly (string | undefined)[]
  readonly access: Access
  readonly perSecond: number
  readonly random: Random
  /** Prefix of every key, so that other runs on the same database have other keys. */
  readonly prefix: string
}

interface Sending extends SentCallback {
  sentAtMs: number
  readonly outcomes: Outcome[]
}

const MAX_IDS = 20
const TIMEOUT_MS = 3000
const SHARES = { invalid: 0.02, atOnce: 0.04, unreliable: 0.06, again: 0.6 }
const USUAL_RIVALS = 0.03
const AGAIN_MS = [50, 3000] as const

/**
 * Sends callbacks at a fixed rate, to one replica after the other, and remembers the answers. The workspaces take turns, and each sends with
 * its own key of access. Each callback has its own idempotency key. Some callbacks go to all replicas at once. Some are invalid. Some name only objects that faults single out. Some have a rival with the same key and
 * other object ids. After an answer that is neither yes nor no, the sender usually sends the callback again, with the same key, to another
 * replica.
 */
export class Sender {
  readonly sent: Sending[] = []
  readonly #options: SenderOptions
  readonly #underWay = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  #rivalShare = USUAL_RIVALS

  constructor(options: SenderOptions) {
    this.#options = options
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** Sets the share of callbacks that have a rival from now on; undefined restores the usual share. */
  set rivalShare(share: number | undefined) {
    this.#rivalShare = share ?? USUAL_RIVALS
  }

  /** Sends nothing more. Resolves when all POSTs under way have ended. */
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
    const { random, prefix } = this.#options
    const key = `${prefix}-${count}`
    if (random() < this.#rivalShare) this.#sendRivals(key, count)
    else this.#sendOne(key, count)
  }

  #sendOne(key: string, count: number): void {
    const { random, urls } = this.#options
    const objectIds = random() < SHARES.unreliable ? unreliableIds(random) : healthyIds(random, count)
    const callback = this.#remember(key, count, objectIds, random() < SHARES.invalid)
    const copies = random() < SHARES.atOnce ? urls().length : 1
    for (const copy of range(0, copies)) this.#track(this.#post(callback, count + copy))
  }

  /**
   * Sends two callbacks with one key, to one replica or to two. They leave one after the other, or at the same moment, so that
   * they may share a commit.
   */
  #sendRivals(key: string, count: number): void {
    const { random } = this.#options
    const [first, second] = [0, 1].map(i =>
      this.#remember(key, count, [...healthyIds(random, count), OBJECTS.unique + 2 * count + i], false),
    ) as [Sending, Sending]
    const elsewhere = between(random, 0, 1)
    const laterMs = random() < 0.5 ? 0 : between(random, ...AGAIN_MS)
    this.#track(this.#post(first, count))
    this.#track(this.#postLater(second, count + elsewhere, laterMs))
  }

  #remember(key: string, count: number, objectIds: readonly number[], isInvalid: boolean): Sending {
    const workspace = WORKSPACES[count % WORKSPACES.length] as string
    const callback: Sending = { workspace, key, objectIds, isInvalid, sentAtMs: Date.now(), outcomes: [] }
    this.sent.push(callback)
    return callback
  }

  async #postLater(callback: Sending, turn: number, laterMs: number): Promise<void> {
    if (laterMs > 0) await sleep(laterMs)
    callback.sentAtMs = Date.now()
    await this.#post(callback, turn)
  }

  async #post(callback: Sending, turn: number): Promise<void> {
    const { urls, random, access } = this.#options
    const targets = urls()
    const started = performance.now()
    const replica = turn % targets.length
    const outcome = await post(targets[replica], callback, access)
    callback.outcomes.push({ ...outcome, replica, tookMs: performance.now() - started })
    if (outcome.kind !== 'info' || random() > SHARES.again) return
    await sleep(between(random, ...AGAIN_MS))
    if (!this.#stop.signal.aborted) await this.#post(callback, turn + 1)
  }

  #track(posted: Promise<void>): void {
    const tracked = posted.finally(() => this.#underWay.delete(tracked))
    this.#underWay.add(tracked)
  }
}

async function post(url: string | undefined, { workspace, key, objectIds, isInvalid }: SentCallback, access: Access): Promise<Outcome> {
  const accessKey = access.keyOf(workspace)
  if (url === undefined) return { kind: 'info', reason: 'down' }
  try {
    const response = await fetch(`${url}/callback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key, 'x-api-key': accessKey },
      body: JSON.stringify({ object_ids: isInvalid ? [...objectIds, 'none'] : objectIds }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const answer = JSON.parse(await response.text())
    if (response.status === 202)
      return { kind: 'ok', id: answer.id, durability: answer.durability, receivedAtMs: Date.parse(answer.received_at) }
    if (response.status === 401 && accessKey !== access.keyOf(workspace)) return { kind: 'info', reason: 'revoked' }
    if (response.status < 500) return { kind: 'fail', status: response.status, code: answer.code }
    return { kind: 'info', reason: String(response.status) }
  } catch (error) {
    return { kind: 'info', reason: reasonOf(error) }
  }
}

/** Returns a short reason for an error. For a connection, undici's `cause` has the code. */
function reasonOf(error: unknown): string {
  const { name, cause } = error as { name?: string; cause?: { code?: string } }
  return cause?.code ?? name ?? String(error)
}

function distinctIds(random: Random, least: number, most: number): number[] {
  return [...new Set(range(0, between(random, 1, MAX_IDS)).map(() => between(random, least, most)))]
}

/** Chooses healthy objects of the workspace whose turn it is. */
function healthyIds(random: Random, count: number): number[] {
  const first = (count % WORKSPACES.length) * OBJECTS.workspace
  return distinctIds(random, first + 1, first + OBJECTS.healthy)
}

/** Chooses unreliable objects. The first one is always included, so that it is requested all the time when it pushes back. */
function unreliableIds(random: Random): number[] {
  const [first, last] = OBJECTS.unreliable
  return [first, ...distinctIds(random, first + 1, last)]
}
