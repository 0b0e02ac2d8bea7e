import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { PostgresHome } from './postgres-home.ts'
import { POSTGRES_ENV } from './postgres-process.ts'
import { SetupError } from './setup-error.ts'

/** The superuser of the server. Our services connect as this user. */
export const POSTGRES_USER = 'answerback'

const LOG_LINES = 8

/**
 * Creates the data folder of a server, unless it exists.
 * @returns the password of POSTGRES_USER
 * @throws {SetupError} initdb failed (the message has its output), or the data belong to another user
 */
export async function initialisePostgres(home: PostgresHome, options: { isThrowaway: boolean }): Promise<string> {
  const data = join(home.folder, 'data')
  const passwordFile = join(home.folder, 'password')
  if (existsSync(data)) return readPassword(passwordFile)

  const password = randomBytes(18).toString('base64url')
  // It has another name until it is complete, so that an interrupted initdb starts again.
  const fresh = `${data}.new`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(fresh, { mode: 0o700 })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (home.user) for (const path of [fresh, passwordFile]) await chown(path, home.user.uid, home.user.gid)
  const flags = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', ...(options.isThrowaway ? ['--no-sync'] : [])]
  try {
    const args = [`--pgdata=${fresh}`, `--username=${POSTGRES_USER}`, `--pwfile=${passwordFile}`, ...flags]
    await promisify(execFile)(home.initdb, args, { ...home.user, cwd: '/', env: POSTGRES_ENV })
  } catch (error) {
    throw postgresProblem((error as { stderr?: string }).stderr || String(error))
  }
  await rename(fresh, data)
  return password
}

/** The error for a server that does not start, with the last lines of its output. */
export function postgresProblem(log: string, logFile?: string): SetupError {
  const lines = log.trim().split('\n').slice(-LOG_LINES)
  const where = logFile === undefined ? 'its output' : `the end of ${logFile}`
  return new SetupError('postgres_unavailable', [`PostgreSQL did not start; ${where}:`, ...lines].join('\n  '))
}

async function readPassword(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const message = `cannot read ${file} of an earlier run: run as the user of that run, or start again with \`make clean\``
    throw new SetupError('postgres_unavailable', message, { cause })
  }
}
