import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts CPU time in hundredths of a second (USER_HZ), whatever the machine. */
const TICK_MICROSECONDS = 10_000

/** CPU time that a process has used so far. */
export function cpuMicroseconds(pid: number): number {
  return ticksOf(pid) * TICK_MICROSECONDS
}

/** The same for a process and its children, those included that have ended. */
export function cpuMicrosecondsOfAll(parent: number): number {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter(pid => pid === parent || parentOf(pid) === parent)
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) * TICK_MICROSECONDS
}

export function parentOf(pid: number): number {
  return Number(fieldsOf(pid)[1])
}

/** Its own, and those of children it has outlived. */
function ticksOf(pid: number): number {
  return fieldsOf(pid)
    .slice(11, 15)
    .reduce((sum, ticks) => sum + Number(ticks), 0)
}

/** From the state on: the name before it may hold anything (proc_pid_stat(5)). None for what is no process, or none any more. */
function fieldsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()?.split(' ') ?? []
  } catch {
    return []
  }
}
