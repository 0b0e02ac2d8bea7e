import type { ObjectId } from './object-id.ts'

const MAX_WITNESSES = 3

/** A question to all witnesses at once, and how many have answered or failed. */
export interface Inquiry {
  readonly askedAtMs: number
  /** Number of witnesses asked. */
  readonly witnesses: number
  answered: number
  failed: number
}

/** The objects that the client service answered last. If it answers anything at all, it should answer these again. */
export class Witnesses {
  readonly #ids: ObjectId[] = []
  #next = 0

  answered(id: ObjectId): void {
    if (this.#ids.includes(id)) return
    this.#ids[this.#next] = id
    this.#next = (this.#next + 1) % MAX_WITNESSES
  }

  /** @returns at most three distinct ids that are not excluded; none before the first answer */
  except(isExcluded: (id: ObjectId) => boolean): ObjectId[] {
    return this.#ids.filter(id => !isExcluded(id))
  }
}
