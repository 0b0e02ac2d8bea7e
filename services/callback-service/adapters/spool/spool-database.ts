import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Counts the forms that the file has had; it stands in `PRAGMA user_version`. Files of version 0 have no table `set_aside`. */
const VERSION = 1

const COLUMNS = `id TEXT NOT NULL UNIQUE, object_ids TEXT NOT NULL, idempotency_key TEXT UNIQUE, request_id TEXT, traceparent TEXT, tracestate TEXT,
  baggage TEXT, received_ms REAL NOT NULL`

/** Checking 128 MiB takes 0.2 s, or 2.5 s when the disk has to be read; 1 GiB would take 19 s, in which nothing could be spooled. */
const MAX_CHECKED_BYTES = 128 * 2 ** 20

/**
 * Opens the file of a spool, and makes it, its folder and its tables when they are missing. When it returns, they are on the disk. What it makes, and the
 * file if it is there already, nobody but its owner may read: it holds what senders sent.
 *
 * A file of the release before gets the table that it lacks. The rows that were set aside in it wait for the database again: most of them came
 * with a used idempotency key, and are taken now; the others are set aside again. Nothing is changed in a damaged file.
 * @returns with the damage that was found
 * @throws {Error} it is no database, or of a newer release (then it is left as it is), or another process has it open
 */
export function openSpoolDatabase(file: string): { readonly db: DatabaseSync; readonly damage: string | undefined } {
  const path = resolve(file)
  const firstFolder = mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite gives its journals the mode of the file. One that is there is not opened: closing it would take its locks from this process.
  if (!existsSync(path)) closeSync(openSync(path, 'wx', 0o600))
  for (const file of [path, `${path}-wal`, `${path}-shm`]) closeToOthers(file)
  const db = new DatabaseSync(path)
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > VERSION) throw new Error(`it was written by a newer release: its version is ${version}, this release knows ${VERSION}`)
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const damage = damageIn(db)
    if (version < VERSION && damage === undefined) migrate(db)
    flushFolders(path, firstFolder)
    return { db, damage }
  } catch (error) {
    db.close()
    throw error
  }
}

/** Whoever lends us a file of theirs decides who else may read it. */
function closeToOthers(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found && (found.mode & 0o077) !== 0 && found.uid === process.getuid?.()) chmodSync(path, found.mode & 0o700)
}

function migrate(db: DatabaseSync): void {
  db.exec(`
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS spool (seq INTEGER PRIMARY KEY AUTOINCREMENT, ${COLUMNS}) STRICT;
    CREATE TABLE set_aside (${COLUMNS.replace('idempotency_key TEXT UNIQUE', 'idempotency_key TEXT')}, reason TEXT NOT NULL) STRICT;
    PRAGMA user_version = ${VERSION};
    COMMIT`)
}

/**
 * A file survives a power cut when its folder is flushed too, and a folder when the one above it is
 * (https://man7.org/linux/man-pages/man2/fsync.2.html).
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

/** What the file holds, without the pages that are free. */
export function contentBytes(db: DatabaseSync): number {
  const pragma = (name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
  return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
}

/** Looks for damage in what the file holds, unless that is too much to be read at once: then damage shows when it is met. */
function damageIn(db: DatabaseSync): string | undefined {
  if (contentBytes(db) > MAX_CHECKED_BYTES) return undefined
  try {
    const result = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
    return result === 'ok' ? undefined : String(result)
  } catch (error) {
    if (isDamage(error)) return (error as Error).message
    throw error
  }
}

/** SQLITE_CORRUPT, SQLITE_NOTADB: https://www.sqlite.org/rescode.html */
export function isDamage(error: unknown): boolean {
  return [11, 26].includes(primaryCode(error))
}

/** SQLITE_FULL */
export function isFull(error: unknown): boolean {
  return primaryCode(error) === 13
}

function primaryCode(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff
}
