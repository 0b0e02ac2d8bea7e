import { exitOnSetupError } from '../../deploy/local/setup-error.ts'

/**
 * Runs a command that must not leave processes behind. If the command is told to end, `signal` is aborted. The command then stops what it
 * has started, and the process ends with exit code 1.
 */
export async function runCommand(main: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interruption = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => interruption.abort(signal))
  await exitOnSetupError(async () => {
    try {
      await main(interruption.signal)
    } catch (error) {
      if (!interruption.signal.aborted) throw error
      say(`ended by ${interruption.signal.reason}`)
      process.exitCode = 1
    }
  })
}

/** Prints lines to the standard output. */
export function say(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`)
}
