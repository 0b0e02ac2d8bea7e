/** A problem of this machine or its settings that the user must fix. It is printed as one sentence, without a stack. */
export class SetupError extends Error {
  readonly code: 'postgres_unavailable' | 'migration_failed' | 'port_in_use' | 'service_failed' | 'invalid_setting'

  constructor(code: SetupError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Runs the main function of a command. Prints a SetupError as one sentence on stderr and exits with 1; a bug keeps its stack. */
export async function exitOnSetupError(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}
