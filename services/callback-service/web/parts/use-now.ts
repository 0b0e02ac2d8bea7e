import { useEffect, useState } from 'preact/hooks'

/** Returns the time, and renders again after each step, so that ages stay true. */
export function useNow(stepMs = 1000): number {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), stepMs)
    return () => clearInterval(timer)
  }, [stepMs])
  return now
}
