import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DEFAULT_WORKSPACE } from '../../domain/workspaces/workspace.ts'

/**
 * Version of the file's schema, kept in `PRAGMA user_version`. Files of version 0 have no table `set_aside`, and those of version 1 no column
 * `workspace`. `idempotency_key` holds scoped keys, so the index and the keys of earlier versions stay as they are.
 */
const VERSION = 2

const COLUMNS = `id TEXT NOT NULL UNIQUE, object_ids TEXT NOT NULL, idempotency_key TEXT UNIQUE, request_id TEXT, traceparent TEXT, tracestate TEXT,
  baggage TEXT, received_ms REAL NOT NULL`

/** Largest content to check for damage. 128 MiB take 0.2 s, or 2.5 s if the disk must be read. 1 GiB would block the spool for 19 s. */
const MAX_CHECKED_BYTES = 128 * 2 ** 20

/**
 * Opens the file of a spool. It makes the file, its folder and its tables if they are missing. When it returns, they are on the disk. Only
 * the owner may read the file and what this function makes, because the file holds the senders' data.
 *
 * A file of an earlier release gets what it lacks. That reads all its rows once. Rows that were set aside in it wait for the database again. Most of them came
 * with a used idempotency key, and the database takes them now. The others are set aside again. A damaged file is not changed.
 * @returns the open database, its version, and the damage that was found, if any
 * @throws {Error} the file is not a database, is open in another process, or comes from a newer release (then it stays as it is)
 */
export function openSpoolDatabase(file: string): {
  readonly db: DatabaseSync
  readonly version: number
  readonly damage: string | undefined
} {
  const path = resolve(file)
  const firstFolder = mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite gives its journals the mode of the file. An existing file is not opened here, because closing it would drop this process's locks
  // on it.
  if (!existsSync(path)) closeSync(openSync(path, 'wx', 0o600))
  for (const file of [path, `${path}-wal`, `${path}-shm`]) closeToOthers(file)
  const db = new DatabaseSync(path)
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > VERSION) throw new Error(`it was written by a newer release: its version is ${version}, this release knows ${VERSION}`)
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const damage = damageIn(db) ?? (version < VERSION ? damageWhile(() => migrate(db, version)) : undefined)
    flushFolders(path, firstFolder)
    return { db, version: damage === undefined ? VERSION : version, damage }
  } catch (error) {
    db.close()
    throw error
  }
}

/** The first version with a column `workspace`. */
export const WORKSPACE_VERSION = 2

/** Takes the rights of other users away from a file of ours. If another user owns the file, that user decides who may read it. */
function closeToOthers(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found && (found.mode & 0o077) !== 0 && found.uid === process.getuid?.()) chmodSync(path, found.mode & 0o700)
}

function migrate(db: DatabaseSync, version: number): undefined {
  const setAside = `
    CREATE TABLE IF NOT EXISTS spool (seq INTEGER PRIMARY KEY AUTOINCREMENT, ${COLUMNS}) STRICT;
    CREATE TABLE set_aside (${COLUMNS.replace('idempotency_key TEXT UNIQUE', 'idempotency_key TEXT')}, reason TEXT NOT NULL) STRICT;`
  const workspaces = `
    ALTER TABLE spool ADD COLUMN workspace TEXT NOT NULL DEFAULT '${DEFAULT_WORKSPACE}';
    ALTER TABLE set_aside ADD COLUMN workspace TEXT NOT NULL DEFAULT '${DEFAULT_WORKSPACE}';`
  try {
    db.exec(`BEGIN IMMEDIATE; ${version < 1 ? setAside : ''} ${workspaces} PRAGMA user_version = ${VERSION}; COMMIT`)
  } finally {
    if (db.isTransaction) db.exec('ROLLBACK')
  }
}

/**
 * Flushes the folder of the file and the new folders above it. A file survives a power cut only if its folder is flushed too. The same holds
 * for a folder and the folder above it (https://man7.org/linux/man-pages/man2/fsync.2.html).
 */
function flushFolders(path: string, firstMade: string | undefined): void {
  const last = dirname(firstMade ?? path)
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const descriptor = openSync(folder, 'r')
    fsyncSync(descriptor)
    closeSync(descriptor)
    if (folder === last) return
  }
}

/** Size of the file's content, without its free pages. */
export function contentBytes(db: DatabaseSync): number {
  const pragma = (name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
  return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
}

/** Checks the content of the file for damage. If the content is too large for a check, damage shows when it is read. */
function damageIn(db: DatabaseSync): string | undefined {
  if (contentBytes(db) > MAX_CHECKED_BYTES) return undefined
  return damageWhile(() => {
    const result = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
    return result === 'ok' ? undefined : String(result)
  })
}

/** @returns what `work` returns, or the damage that it met */
function damageWhile(work: () => string | undefined): string | undefined {
  try {
    return work()
  } catch (error) {
    if (isDamage(error)) return (error as Error).message
    throw error
  }
}

/** Whether an error shows damage of the file: SQLITE_CORRUPT or SQLITE_NOTADB, https://www.sqlite.org/rescode.html */
export function isDamage(error: unknown): boolean {
  return [11, 26].includes(primaryCode(error))
}

/** Whether an error shows a full disk (SQLITE_FULL). */
export function isFull(error: unknown): boolean {
  return primaryCode(error) === 13
}

function primaryCode(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff
}
