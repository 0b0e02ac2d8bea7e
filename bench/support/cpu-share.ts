import { cpus } from 'node:os'

/** Begins to watch the whole machine. @returns a function that returns how busy all cores have been since then, from 0 to 1 */
export function watchCpus(): () => number {
  const before = times()
  return () => {
    const now = times()
    return 1 - (now.idle - before.idle) / (now.all - before.all)
  }
}

function times(): { idle: number; all: number } {
  let [idle, all] = [0, 0]
  for (const { times: core } of cpus()) {
    idle += core.idle
    all += core.user + core.nice + core.sys + core.irq + core.idle
  }
  return { idle, all }
}
