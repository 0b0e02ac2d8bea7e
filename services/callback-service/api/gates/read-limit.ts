import { FairSlots } from '#fetching/fair-slots.ts'
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

/** Requests of one workspace that run or wait for their turn. */
const MAX_IN_TURN = 16

/**
 * Limits the number of lists, or of changes of callbacks, at a time: a list may read a whole table, and changes use the connections of the workers.
 * Further ones wait. Workspaces take turns, and each has its own places to wait in. So a workspace with many of them takes neither from others.
 * @param atOnce requests that run at a time
 * @returns a function that runs a request of a workspace
 * @throws {HttpProblem} too_many_reads
 */
export function turnLimit(atOnce: number): <T>(workspace: string, read: () => Promise<T>) => Promise<T> {
  const slots = new FairSlots({ concurrency: atOnce, reserve: 0, weightOf: () => 1 })
  const limits = new Map<string, ReturnType<typeof readLimit>>()
  return (workspace, read) => {
    const limited = limits.get(workspace) ?? readLimit(MAX_IN_TURN)
    limits.set(workspace, limited)
    return limited(() => slots.run(workspace, read))
  }
}
