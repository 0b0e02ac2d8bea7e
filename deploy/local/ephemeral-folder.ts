import { once } from 'node:events'
import { chmod, lstat, mkdtemp, readdir, statfs } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { removePostgresHome } from './postgres-home.ts'

const MEMORY = '/dev/shm'
/** An empty database takes 60 MB. Docker gives a container 64 MB of shared memory by default. */
const MIN_FREE_BYTES = 512 * 2 ** 20
const PREFIX = 'answerback-ephemeral-'
/** Its owner listens on this socket. The kernel closes it when the owner ends, even by kill -9. */
const SOCKET = 'alive'
/** Time after which a folder without a socket is not one that somebody is making right now. */
const MAKING_MS = 60_000

/** A folder for data that nobody needs after this process. */
export interface EphemeralFolder extends Part {
  readonly path: string
  readonly isInMemory: boolean
  /** Room in its file system when it was made. */
  readonly freeBytes: number
}

/**
 * Makes a folder in memory, or in the temporary folder if there is no room in memory. Its `stop` deletes it. Before that it deletes what
 * processes left behind that were killed. It does not touch the folders of processes that run.
 * @param places for tests: the folder in memory, the folder on the disk, and the least room in memory
 */
export async function openEphemeralFolder(
  say: (line: string) => void,
  places: { memory?: string; disk?: string; minFreeBytes?: number } = {},
): Promise<EphemeralFolder> {
  const { memory = MEMORY, disk = tmpdir(), minFreeBytes = MIN_FREE_BYTES } = places
  for (const parent of new Set([memory, disk])) await removeLeftovers(parent, say)
  const isInMemory = (await freeBytesOf(memory)) >= minFreeBytes
  const parent = isInMemory ? memory : disk
  const path = await mkdtemp(join(parent, PREFIX))
  // If we are root, the server runs as another user.
  await chmod(path, 0o755)
  const socket = createServer(connection => connection.destroy()).listen(join(path, SOCKET))
  await once(socket, 'listening')
  return { name: 'ephemeral folder', path, isInMemory, freeBytes: await freeBytesOf(parent), stop: () => remove(path, socket) }
}

async function remove(path: string, socket: Server): Promise<void> {
  await removePostgresHome(path)
  socket.close()
}

async function removeLeftovers(parent: string, say: (line: string) => void): Promise<void> {
  const names = await readdir(parent).catch(nothingThere)
  for (const path of names.filter(name => name.startsWith(PREFIX)).map(name => join(parent, name))) {
    if (!(await isLeftover(path))) continue
    await removePostgresHome(path).then(
      () => say(`deleted ${path}, which a killed run left behind`),
      (error: Error) => say(`cannot delete ${path}, which a killed run left behind: ${error.message}`),
    )
  }
}

/** Whether the folder is ours and nobody uses it any more. */
async function isLeftover(path: string): Promise<boolean> {
  const found = await lstat(path).catch(nothingThere)
  if (!('uid' in found) || !found.isDirectory() || found.uid !== process.getuid?.()) return false
  const socket = connect(join(path, SOCKET))
  try {
    await once(socket, 'connect')
    return false
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ECONNREFUSED' || (code === 'ENOENT' && Date.now() - found.mtimeMs > MAKING_MS)
  } finally {
    socket.destroy()
  }
}

async function freeBytesOf(folder: string): Promise<number> {
  const found = await statfs(folder).catch(nothingThere)
  return 'bavail' in found ? found.bavail * found.bsize : 0
}

function nothingThere(error: NodeJS.ErrnoException): readonly never[] {
  if (error.code === 'ENOENT') return []
  throw error
}
