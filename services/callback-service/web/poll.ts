/** Something that is asked again and again. */
export interface Polling {
  /** Asks at once, also if it is not yet time. */
  now(): void
  stop(): void
}

const FIRST_WAIT_MS = 1000
const MAX_WAIT_MS = 30_000
/** While nobody sees the page. */
const HIDDEN_MS = 30_000

/**
 * Calls `once` again and again, never twice at a time. After an error it waits longer and longer.
 * @param once returns the milliseconds until the next call; undefined: never again
 */
export function poll(once: () => Promise<number | undefined>): Polling {
  let timer: ReturnType<typeof setTimeout> | undefined
  let waitMs = FIRST_WAIT_MS
  let isAsking = false
  let isWanted = false
  let isStopped = false

  const ask = async (): Promise<void> => {
    isWanted = true
    if (isAsking || isStopped) return
    clearTimeout(timer)
    isAsking = true
    while (isWanted && !isStopped) {
      isWanted = false
      plan(await asked())
    }
    isAsking = false
  }
  const asked = async (): Promise<number | undefined> => {
    try {
      const next = await once()
      waitMs = FIRST_WAIT_MS
      return next
    } catch {
      // `once` has shown it. Jitter, so that pages do not all come back at once.
      waitMs = Math.min(MAX_WAIT_MS, waitMs * 2)
      return waitMs * (0.5 + Math.random() / 2)
    }
  }
  const plan = (ms: number | undefined): void => {
    clearTimeout(timer)
    if (ms === undefined || isStopped) return
    timer = setTimeout(ask, globalThis.document?.hidden ? Math.max(HIDDEN_MS, ms) : ms)
  }
  const seen = (): void => {
    if (!document.hidden) void ask()
  }

  globalThis.document?.addEventListener('visibilitychange', seen)
  void ask()
  return {
    now: () => void ask(),
    stop: () => {
      isStopped = true
      clearTimeout(timer)
      globalThis.document?.removeEventListener('visibilitychange', seen)
    },
  }
}
