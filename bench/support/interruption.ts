const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Runs `work`, and fails as soon as our process is told to end, so that whoever waits can end what was started.
 * @throws {Error} what `work` threw, or which signal came
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
