import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LocalPostgres } from '../../deploy/local/postgres.ts'
import { exitOnSetupError } from '../../deploy/local/setup-error.ts'
import { COMPILE_CACHE } from '../../deploy/local/spawn-service.ts'

/**
 * `node test/support/with-postgres.ts [--servers=2] COMMAND [ARGUMENT ...]` runs a command with throwaway PostgreSQL servers (default: one).
 * Their URLs are in TEST_DATABASE_URL, separated by spaces. The servers end with the command, and the exit code is that of the command. If
 * TEST_DATABASE_URL is set already, the command uses those servers instead.
 */
await exitOnSetupError(async () => {
  const [, count] = /^--servers=(\d+)$/.exec(process.argv[2] ?? '') ?? []
  const [command, ...args] = process.argv.slice(count === undefined ? 2 : 3)
  if (command === undefined) throw new Error('usage: node test/support/with-postgres.ts [--servers=2] COMMAND [ARGUMENT ...]')
  if (process.env['TEST_DATABASE_URL']) {
    process.exitCode = await runCommand(command, args, process.env['TEST_DATABASE_URL'])
    return
  }
  const servers = await Promise.all(Array.from({ length: Number(count ?? 1) }, newServer))
  try {
    for (const server of servers) await server.start()
    process.exitCode = await runCommand(command, args, servers.map(server => server.url('postgres')).join(' '))
  } finally {
    for (const server of servers) await server.stop().then(() => server.remove())
  }
})

async function newServer(): Promise<LocalPostgres> {
  return new LocalPostgres({ folder: await mkdtemp(join(tmpdir(), 'answerback-test-')), port: 0, isThrowaway: true })
}

async function runCommand(command: string, args: readonly string[], databaseUrls: string): Promise<number> {
  const bin = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url))
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: {
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      ...process.env,
      TEST_DATABASE_URL: databaseUrls,
      PATH: `${bin}${delimiter}${process.env['PATH']}`,
    },
  })
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
    // A terminal sends Ctrl-C to the command too. A second SIGINT would interrupt its clean stop.
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal))
  }
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return code ?? 128 + constants.signals[signal ?? 'SIGKILL']
}
