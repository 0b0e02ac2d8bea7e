import type { ObjectId } from '../object-id.ts'

const MAX_WITNESSES = 3

/** A question to all witnesses at once, and what came of it. */
export interface Inquiry {
  readonly askedAtMs: number
  readonly witnesses: number
  answered: number
  failed: number
}

/** The objects that the client service answered last: it should answer them again, if it answers anything. */
export class Witnesses {
  readonly #ids: ObjectId[] = []
  #next = 0

  answered(id: ObjectId): void {
    if (this.#ids.includes(id)) return
    this.#ids[this.#next] = id
    this.#next = (this.#next + 1) % MAX_WITNESSES
  }

  /** @returns at most three, distinct; none before the first answer */
  except(isExcluded: (id: ObjectId) => boolean): ObjectId[] {
    return this.#ids.filter(id => !isExcluded(id))
  }
}
