import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Reads the resident memory of a process, now and at its peak. The kernel records the peak, so none is missed. Linux only. */
export async function residentMb(pid: number): Promise<{ now: number; most: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const mb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  return { now: mb('VmRSS'), most: mb('VmHWM') }
}

/** Reads the resident memory of a process every second while `work` runs. */
export async function residentWhile(pid: number, work: Promise<unknown>): Promise<number[]> {
  const samples: number[] = []
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  while (!isDone) {
    samples.push((await residentMb(pid)).now)
    await Promise.race([sleep(1000), done])
  }
  await done
  return samples
}
