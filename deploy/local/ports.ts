import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** Whether nothing listens on the port. It binds the port and releases it again. */
export async function isPortFree(port: number, host: string): Promise<boolean> {
  try {
    await bindOnce(port, host)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false
    throw error
  }
}

/** A port of 127.0.0.1 that is free now. If another process takes it before the caller does, try again. */
export function freePort(): Promise<number> {
  return bindOnce(0, '127.0.0.1')
}

async function bindOnce(port: number, host: string): Promise<number> {
  const server = createServer()
  server.listen(port, host)
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port
  server.close()
  await once(server, 'close')
  return bound
}
