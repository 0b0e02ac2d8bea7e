import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Ports that no kernel gives out by itself, so that only a program that names one can take it. */
const FIRST = 20_000
const LAST = 32_767

let next = randomInt(FIRST, LAST)

/** Whether nothing listens on the port. It binds the port and releases it again. */
export async function isPortFree(port: number, host: string): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, host), 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false
    throw error
  }
  await once(server.close(), 'close')
  return true
}

/** A port of 127.0.0.1 that is free now, and another one with each call. If another process takes it before the caller does, try again. */
export async function freePort(): Promise<number> {
  do next = next < LAST ? next + 1 : FIRST
  while (!(await isPortFree(next, '127.0.0.1')))
  return next
}
