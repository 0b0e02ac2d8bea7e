import { useEffect, useState } from 'preact/hooks'
import { serviceNow } from '../service-clock.ts'

/** Returns the time of the service, and renders again after each step, so that ages stay true. */
export function useNow(stepMs = 1000): number {
  const [now, setNow] = useState(serviceNow())
  useEffect(() => {
    const timer = setInterval(() => setNow(serviceNow()), stepMs)
    return () => clearInterval(timer)
  }, [stepMs])
  return now
}
