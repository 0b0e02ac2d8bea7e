import type { ObjectId } from '#fetching/object-id.ts'
import { Batcher } from '#foundation/batcher.ts'
import type { PrismaClient } from '#prisma'
import type { CallbackState } from '../../domain/callback.ts'
import type { HeldLease, LeaseKey } from '../../domain/leasing/held-lease.ts'
import type { Verdict } from '../../domain/processing/claimed-callback.ts'
import { ValueRefusedError } from '../../domain/storage-errors.ts'
import { settleCallbacks } from './callback-leaving.ts'
import type { DatabaseClock } from './database-clock.ts'
import { type Delivery, type Marked, markDelivered } from './lease-marks.ts'
import { type LeaseRequest, readLeases } from './lease-reader.ts'

interface Ending {
  readonly held: HeldLease
  readonly verdict: Verdict
}

/** What agents do with their leases. Requests that come together share a statement. Every replica can serve every lease. */
export class LeaseUse {
  readonly #reads: Batcher<LeaseRequest, HeldLease | undefined>
  readonly #marks: Batcher<Delivery, Marked | undefined>
  readonly #endings: Batcher<Ending, CallbackState | undefined>

  /** @param options.leaseSeconds time for which each use renews a lease */
  constructor(options: { prisma: PrismaClient; clock: DatabaseClock; leaseSeconds: number }) {
    const { prisma, clock, leaseSeconds } = options
    this.#reads = new Batcher({ write: requests => readLeases(prisma, clock, requests), maxBatch: 100, maxInFlight: 2 })
    this.#marks = new Batcher({ write: items => markDelivered(prisma, items, leaseSeconds), maxBatch: 200 })
    this.#endings = new Batcher({
      write: items =>
        settleCallbacks(
          prisma,
          items.map(({ held, verdict }) => ({
            callback: held.callback,
            verdict,
            workerNumber: undefined,
            agent: { name: held.agentName, delivered: held.delivered.size },
          })),
          clock.nowMs(),
        ),
      maxBatch: 200,
      isItemFault: error => error instanceof ValueRefusedError,
    })
  }

  /**
   * @param renewSeconds Absent: the lease is only read.
   * @returns undefined if the key is not that of a live lease
   * @throws {StorageUnavailableError} trying again may help
   */
  read(key: LeaseKey, renewSeconds?: number): Promise<HeldLease | undefined> {
    return this.#reads.add(renewSeconds === undefined ? { key } : { key, renewSeconds })
  }

  /**
   * Notes that objects of a lease are stored, and renews the lease. Safe to repeat.
   * @param offline those of them that are offline, if the workspace keeps only objects that are online
   * @returns undefined if the lease has ended, and nothing has changed
   * @throws {StorageUnavailableError} the outcome is unknown; try again
   */
  mark(held: HeldLease, ids: readonly ObjectId[], offline: readonly ObjectId[]): Promise<Marked | undefined> {
    return this.#marks.add({ held, ids, offline })
  }

  /**
   * Ends a lease with a verdict.
   * @returns the state that the callback got; undefined if the lease has ended, or more was delivered since it was read: nothing has changed
   * @throws {StorageUnavailableError} the outcome is unknown; try again
   */
  end(held: HeldLease, verdict: Verdict): Promise<CallbackState | undefined> {
    return this.#endings.add({ held, verdict })
  }
}
