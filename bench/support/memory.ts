import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a process holds in memory now, and the most it ever held; as the kernel counts it, so that no peak is missed. Linux only. */
export async function residentMb(pid: number): Promise<{ now: number; most: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const mb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  return { now: mb('VmRSS'), most: mb('VmHWM') }
}

/** Looks each second while `work` lasts. */
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
