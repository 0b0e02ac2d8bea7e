import { randomInt } from 'node:crypto'
import { isPortFree } from '../../deploy/local/ports.ts'

/** Below the ports that systems give to connections by themselves (from 32768 on Linux, from 49152 elsewhere). */
const LEAST = 20_000
const MOST = 32_000

/**
 * A port for a server that goes away and comes back: nobody else takes it meanwhile. Among the ports given to connections it would not be safe,
 * not even from a connection to itself.
 */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = randomInt(LEAST, MOST)
    if (await isPortFree(port, '127.0.0.1')) return port
  }
}
