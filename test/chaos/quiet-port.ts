import { randomInt } from 'node:crypto'
import { isPortFree } from '../../deploy/local/ports.ts'

/** Both limits are below the ports that systems choose for connections (from 32768 on Linux, from 49152 elsewhere). */
const LEAST = 20_000
const MOST = 32_000

/**
 * Chooses a port for a server that goes away and comes back. Nobody else takes the port meanwhile. A port that the system may choose for a
 * connection would not be safe: even a connection to the port itself could take it.
 */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = randomInt(LEAST, MOST)
    if (await isPortFree(port, '127.0.0.1')) return port
  }
}
