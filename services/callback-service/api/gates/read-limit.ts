import { HttpProblem } from '#foundation/http/problems.ts'

/**
 * Limits the number of reads at a time. It refuses further reads at once, because waiting reads would take time from callbacks.
 * @returns a function that runs a read
 * @throws {HttpProblem} too_many_reads
 */
export function readLimit(max: number): <T>(read: () => Promise<T>) => Promise<T> {
  let underWay = 0
  return async read => {
    if (underWay >= max) throw new HttpProblem('too_many_reads', 'Try again a little later.', { headers: { 'Retry-After': '1' } })
    underWay += 1
    try {
      return await read()
    } finally {
      underWay -= 1
    }
  }
}
