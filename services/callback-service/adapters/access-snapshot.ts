import { createHash } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { KnownKey } from '../domain/workspaces/caller.ts'
import type { Workspace } from '../domain/workspaces/workspace.ts'

/** All workspaces and keys, as a replica knows them. */
export interface AccessState {
  readonly workspaces: readonly Workspace[]
  readonly keys: readonly KnownKey[]
}

/** Number of the format. Each change of the format changes it, so that another release ignores the file. */
const VERSION = 2

/**
 * Writes the state to a file that only its owner can read, because it has the secrets of senders. It has hashes of keys, but no key.
 * A crash leaves either the old file or the new one.
 */
export async function writeSnapshot(path: string, { workspaces, keys }: AccessState): Promise<void> {
  const state = JSON.stringify({ workspaces, keys: keys.map(({ hash, ...key }) => ({ ...key, hash: hash.toString('hex') })) })
  const temporary = `${path}.new`
  // An earlier file may have other rights.
  await rm(temporary, { force: true })
  await inFile(temporary, 'wx', async file => {
    await file.writeFile(`{"version":${VERSION},"sum":"${sumOf(state)}","state":${state}}\n`)
    await file.sync()
  })
  await rename(temporary, path)
  await inFile(dirname(path), 'r', folder => folder.sync())
}

/** Reads the file. @throws {Error} the file is missing, damaged, or of another release */
export async function readSnapshot(path: string): Promise<AccessState> {
  const { version, sum, state } = JSON.parse(await readFile(path, 'utf8')) as { version: unknown; sum: unknown; state: StateText }
  if (version !== VERSION) throw new Error(`${path} comes from another release`)
  if (sum !== sumOf(JSON.stringify(state))) throw new Error(`${path} is damaged`)
  return {
    workspaces: state.workspaces.map(({ createdAt, archivedAt, ...workspace }) => ({
      ...workspace,
      createdAt: new Date(createdAt),
      archivedAt: dateOf(archivedAt),
    })),
    keys: state.keys.map(({ hash, expiresAt, ...key }) => ({ ...key, hash: Buffer.from(hash, 'hex'), expiresAt: dateOf(expiresAt) })),
  }
}

interface StateText {
  readonly workspaces: readonly (Omit<Workspace, 'createdAt' | 'archivedAt'> & { createdAt: string; archivedAt: string | null })[]
  readonly keys: readonly (Omit<KnownKey, 'hash' | 'expiresAt'> & { hash: string; expiresAt: string | null })[]
}

async function inFile(path: string, flags: 'wx' | 'r', work: (file: Awaited<ReturnType<typeof open>>) => Promise<void>): Promise<void> {
  const file = await open(path, flags, 0o600)
  try {
    await work(file)
  } finally {
    await file.close()
  }
}

function dateOf(text: string | null): Date | null {
  return text === null ? null : new Date(text)
}

function sumOf(state: string): string {
  return createHash('sha256').update(state).digest('hex')
}
