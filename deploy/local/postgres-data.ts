import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { PostgresHome } from './postgres-home.ts'
import { POSTGRES_ENV } from './postgres-process.ts'
import { SetupError } from './setup-error.ts'

/** The superuser of the server, and what our services connect as. */
export const POSTGRES_USER = 'answerback'

const LOG_LINES = 8

/**
 * Makes the data of a server, unless there are some.
 * @returns the password of POSTGRES_USER
 * @throws {SetupError} initdb failed, with what it said, or the data belong to somebody else
 */
export async function initialisePostgres(home: PostgresHome, options: { isThrowaway: boolean }): Promise<string> {
  const data = join(home.folder, 'data')
  const passwordFile = join(home.folder, 'password')
  if (existsSync(data)) return readPassword(passwordFile)

  const password = randomBytes(18).toString('base64url')
  // Under another name until it is whole: an initdb that was cut short is begun anew.
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

/** What a person is told of a server that does not start: the last lines of what it said. */
export function postgresProblem(log: string, logFile?: string): SetupError {
  const lines = log.trim().split('\n').slice(-LOG_LINES)
  const where = logFile === undefined ? 'it said' : `the end of ${logFile}`
  return new SetupError('postgres_unavailable', [`PostgreSQL did not start; ${where}:`, ...lines].join('\n  '))
}

async function readPassword(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const message = `cannot read ${file}, made by an earlier run: run as the same user as then, or start anew with \`make clean\``
    throw new SetupError('postgres_unavailable', message, { cause })
  }
}
