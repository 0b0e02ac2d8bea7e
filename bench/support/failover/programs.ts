import { execFile } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Paths of the programs of a highly available PostgreSQL. */
export interface Programs {
  readonly etcd: string
  readonly haproxy: string
  readonly patroni: string
  /** The folder with `postgres`, `pg_basebackup` and `pg_rewind`. The embedded PostgreSQL lacks the last two. */
  readonly postgresBin: string
}

/** The Debian packages that contain the programs, and the paths of the programs after an installation. */
const PACKAGES = {
  etcd: { name: 'etcd-server', paths: ['/usr/bin/etcd', '/usr/local/bin/etcd'] },
  haproxy: { name: 'haproxy', paths: ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy'] },
  pg_basebackup: { name: 'postgresql', paths: ['/usr/lib/postgresql/*/bin/pg_basebackup'] },
  python3: { name: 'python3-venv', paths: ['/usr/lib/python3*/ensurepip'] },
} as const

/** A fixed path, because the first Python in PATH may be below a home folder, where the user of PostgreSQL cannot run it. */
const PYTHON = '/usr/bin/python3'

/**
 * Finds etcd, HAProxy and PostgreSQL. If we are root, it installs missing ones with apt-get.
 * Patroni comes from PyPI into `folder`, because releases of distributions are years behind.
 * @throws {Error} something is missing and cannot be installed; the message is one sentence that says what to install
 */
export async function findPrograms(folder: string, say: (line: string) => void): Promise<Programs> {
  const missing = Object.values(PACKAGES).filter(({ paths }) => newest(paths) === undefined)
  if (missing.length > 0) await install(missing.map(({ name }) => name).join(' '), say)
  say('installing Patroni from PyPI')
  const venv = join(folder, 'venv')
  await run(PYTHON, ['-m', 'venv', venv])
  await run(join(venv, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', 'patroni[etcd3]', 'psycopg[binary]'])
  return {
    etcd: pathOf('etcd'),
    haproxy: pathOf('haproxy'),
    patroni: join(venv, 'bin/patroni'),
    postgresBin: dirname(pathOf('pg_basebackup')),
  }
}

async function install(packages: string, say: (line: string) => void): Promise<void> {
  const isDebian = existsSync('/usr/bin/apt-get')
  if (process.getuid?.() !== 0 || !isDebian) throw new Error(`Install these Debian packages, or their equivalents, first: ${packages}.`)
  say(`installing with apt-get: ${packages}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await run('apt-get', ['update', '-qq'], { env })
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages.split(' ')], { env, maxBuffer: 2 ** 26 })
}

function pathOf(program: keyof typeof PACKAGES): string {
  const path = newest(PACKAGES[program].paths)
  if (path === undefined) throw new Error(`${PACKAGES[program].name} is installed, but ${program} is not where Debian puts it.`)
  return path
}

function newest(paths: readonly string[]): string | undefined {
  const found = paths.flatMap(path => globSync(path))
  return found.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
}
