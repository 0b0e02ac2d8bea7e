const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Runs `work`, and fails as soon as our process gets a signal to end, so that the caller can stop what it has started.
 * @throws {Error} the error of `work`, or an error that names the signal
 */
export async function unlessInterrupted<T>(work: () => Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const interrupt = (signal: NodeJS.Signals): void => reject(new Error(`interrupted by ${signal}`))
  for (const signal of SIGNALS) process.on(signal, interrupt)
  try {
    return await Promise.race([work(), promise])
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt)
  }
}
