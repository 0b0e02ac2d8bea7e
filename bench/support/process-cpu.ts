import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts CPU time in hundredths of a second (USER_HZ), whatever the machine. */
const TICK_MICROSECONDS = 10_000

/** CPU time that processes have used so far, of their own and of children they have outlived. */
export function cpuMicroseconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) * TICK_MICROSECONDS
}

export function parentOf(pid: number): number {
  return Number(fieldsOf(pid)[1])
}

/** A process and its children. */
export function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  return [parent, ...pids.filter(pid => isChild(pid, parent))]
}

function isChild(pid: number, parent: number): boolean {
  try {
    return parentOf(pid) === parent
  } catch {
    // It ended while we looked.
    return false
  }
}

function ticksOf(pid: number): number {
  return fieldsOf(pid)
    .slice(11, 15)
    .reduce((sum, ticks) => sum + Number(ticks), 0)
}

/** From the state on: the name before it may hold anything (proc_pid_stat(5)). */
function fieldsOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()?.split(' ') ?? []
}
