import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LocalPostgres } from '../../deploy/local/postgres.ts'
import { exitOnSetupError } from '../../deploy/local/setup-error.ts'

/**
 * `node test/support/with-postgres.ts COMMAND [ARGUMENT ...]` runs a command with a throwaway PostgreSQL server. The server's URL is in
 * TEST_DATABASE_URL. The server ends with the command, and the exit code is that of the command. If TEST_DATABASE_URL is set already, the
 * command uses that server instead.
 */
await exitOnSetupError(async () => {
  const [command, ...args] = process.argv.slice(2)
  if (command === undefined) throw new Error('usage: node test/support/with-postgres.ts COMMAND [ARGUMENT ...]')
  if (process.env['TEST_DATABASE_URL']) {
    process.exitCode = await runCommand(command, args, process.env['TEST_DATABASE_URL'])
    return
  }
  const server = new LocalPostgres({ folder: await mkdtemp(join(tmpdir(), 'answerback-test-')), port: 0, isThrowaway: true })
  try {
    await server.start()
    process.exitCode = await runCommand(command, args, server.url('postgres'))
  } finally {
    await server.stop()
    await server.remove()
  }
})

async function runCommand(command: string, args: readonly string[], databaseUrl: string): Promise<number> {
  const bin = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url))
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: { ...process.env, TEST_DATABASE_URL: databaseUrl, PATH: `${bin}${delimiter}${process.env['PATH']}` },
  })
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
    // A terminal sends Ctrl-C to the command too. A second SIGINT would interrupt its clean stop.
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal))
  }
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return code ?? 128 + constants.signals[signal ?? 'SIGKILL']
}
