import { useRef, useState } from 'preact/hooks'
import { type AgentRequest, agentRefusalText } from '../agent-requests.ts'
import { ask } from '../api.ts'
import { announce } from './announcement.ts'

interface Sending {
  readonly isBusy: boolean
  /** Sends a request, unless one is under way, and says what came of it. @returns the answer; undefined: it was not done, or nobody knows */
  readonly send: <T>(request: AgentRequest, doneText: string) => Promise<{ readonly answer: T } | undefined>
}

/** Lets an operator change something, one request at a time. @param onEnd called after each, because the page may show something old now */
export function useSending(onEnd: () => void): Sending {
  const [isBusy, setBusy] = useState(false)
  // A second click can come before the buttons are rendered again.
  const isSending = useRef(false)
  return {
    isBusy,
    send: async <T>({ path, method, body }: AgentRequest, doneText: string) => {
      if (isSending.current) return undefined
      isSending.current = true
      setBusy(true)
      try {
        const answer = await ask<T>(path, { method, ...(body && { body }) })
        announce(doneText)
        return { answer }
      } catch (error) {
        announce(agentRefusalText(error as Error), true)
        return undefined
      } finally {
        isSending.current = false
        setBusy(false)
        onEnd()
      }
    },
  }
}
