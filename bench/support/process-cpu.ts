import { readdirSync, readFileSync } from 'node:fs'

/** Unit of CPU time in Linux: a hundredth of a second (USER_HZ) on every machine. */
const TICK_MICROSECONDS = 10_000

/** Returns the CPU time that a process has used so far. */
export function cpuMicroseconds(pid: number): number {
  return ticksOf(pid) * TICK_MICROSECONDS
}

/** Returns the CPU time of a process and its children, including children that have ended. */
export function cpuMicrosecondsOfAll(parent: number): number {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter(pid => pid === parent || parentOf(pid) === parent)
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) * TICK_MICROSECONDS
}

export function parentOf(pid: number): number {
  return Number(fieldsOf(pid)[1])
}

/** Returns the ticks of a process and of its children that have ended. */
function ticksOf(pid: number): number {
  return fieldsOf(pid)
    .slice(11, 15)
    .reduce((sum, ticks) => sum + Number(ticks), 0)
}

/**
 * Returns the fields from the state on, because the name before it may contain any character (proc_pid_stat(5)). Empty if there is no such
 * process.
 */
function fieldsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()?.split(' ') ?? []
  } catch {
    return []
  }
}
