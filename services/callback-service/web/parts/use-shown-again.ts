import { useEffect } from 'preact/hooks'

/** Calls back when somebody looks at the page again. */
export function useShownAgain(onShown: () => void): void {
  useEffect(() => {
    const shown = (): void => {
      if (document.visibilityState === 'visible') onShown()
    }
    document.addEventListener('visibilitychange', shown)
    return () => document.removeEventListener('visibilitychange', shown)
  })
}
