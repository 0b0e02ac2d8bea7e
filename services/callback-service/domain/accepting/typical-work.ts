import { RecentMedian } from './recent-median.ts'

/**
 * Learns how long a worker typically needs for a callback, from its claim to its end. A callback ends with its slowest object, so a callback
 * with more objects takes longer. Callbacks with 1, 2 to 3, 4 to 7, ... objects are measured apart.
 */
export class TypicalWork {
  readonly #bySize = new Map<number, RecentMedian>()

  add(objects: number, ms: number): void {
    const size = sizeOf(objects)
    const known = this.#bySize.get(size) ?? new RecentMedian()
    this.#bySize.set(size, known)
    known.add(ms)
  }

  /** Returns the time for a callback with so many objects. If none of its size was seen, the nearest size counts. Undefined: none was seen. */
  ms(objects: number): number | undefined {
    const wanted = sizeOf(objects)
    let nearest: number | undefined
    for (const size of this.#bySize.keys())
      if (nearest === undefined || Math.abs(size - wanted) < Math.abs(nearest - wanted)) nearest = size
    return nearest === undefined ? undefined : this.#bySize.get(nearest)?.value
  }
}

function sizeOf(objects: number): number {
  return 32 - Math.clz32(objects)
}
