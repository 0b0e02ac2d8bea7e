import { HttpProblem } from '#foundation/http/problems.ts'

/**
 * Lets so many reads be under way at once. More are refused at once: waiting readers would take the time of those who send callbacks.
 * @returns what runs a read
 * @throws {HttpProblem} too_many_reads
 */
export function readLimit(max: number): <T>(read: () => Promise<T>) => Promise<T> {
  let underWay = 0
  return async read => {
    if (underWay >= max) throw new HttpProblem('too_many_reads', 'Read again a little later.', { headers: { 'Retry-After': '1' } })
    underWay += 1
    try {
      return await read()
    } finally {
      underWay -= 1
    }
  }
}
