import { html } from 'htm/preact'
import { useState } from 'preact/hooks'
import { caller } from '../caller.ts'
import { sendSeries } from '../sent.ts'
import { session } from '../session.ts'
import { useStore } from '../store.ts'
import { type Attempt, curlOf, randomIds } from '../try-request.ts'

const MAX_COUNT = 100
const START: Attempt = { ids: randomIds(20), workspace: '', idempotencyKey: '', waitSeconds: 0 }

/** The form that sends callbacks. */
export function SendForm() {
  const who = useStore(caller)
  const known = useStore(session)
  const [attempt, setAttempt] = useState(START)
  const [count, setCount] = useState(1)
  const [isSending, setSending] = useState(false)
  const own = who?.workspace
  const chosen = { ...attempt, workspace: own ?? (attempt.workspace || 'default') }
  const change = (changes: Partial<Attempt>): void => setAttempt(before => ({ ...before, ...changes }))
  const textOf = (event: Event): string => (event.currentTarget as HTMLInputElement).value
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    if (isSending) return
    setSending(true)
    await sendSeries(chosen, count).finally(() => setSending(false))
  }
  if (who?.role === 'read') return html`<p class="quiet">A key of role read may not send callbacks.</p>`
  return html`
    <form class="send-form" onSubmit=${submit}>
      <label class="wide">Ids of the objects, separated by spaces or commas
        <textarea rows="3" spellcheck=${false} value=${attempt.ids} onInput=${(event: Event) => change({ ids: textOf(event) })} /></label>
      <p class="wide">
        <button type="button" onClick=${() => change({ ids: randomIds(20) })}>20 random ids</button>${' '}
        <button type="button" onClick=${() => change({ ids: '9007199254740993, -9223372036854775808' })}>Ids beyond 2^53</button>
      </p>
      <label>Workspace
        <input value=${own ?? attempt.workspace} placeholder="default" disabled=${Boolean(own)} onInput=${(event: Event) => change({ workspace: textOf(event) })} /></label>
      <label>Number of callbacks
        <input type="number" min="1" max=${MAX_COUNT} value=${count} onChange=${(event: Event) => setCount(within(textOf(event), 1, MAX_COUNT))} /></label>
      <label>Idempotency key (optional)
        <input value=${attempt.idempotencyKey} onInput=${(event: Event) => change({ idempotencyKey: textOf(event) })} /></label>
      <label>Wait for the result, in seconds
        <input type="number" min="0" max="30" value=${attempt.waitSeconds} onChange=${(event: Event) => change({ waitSeconds: within(textOf(event), 0, 30) })} /></label>
      <p class="wide"><button type="submit" class="main" aria-disabled=${isSending}>${isSending ? 'Sending' : 'Send'}</button></p>
    </form>
    <details>
      <summary>The same with curl</summary>
      <pre tabindex="0"><code>${curlOf(chosen, `http://${location.hostname}:${known?.sender_port}`, known?.needs_key ?? false)}</code></pre>
      <p class="quiet">It goes to the port for senders, as this process knows it. A balancer may have another address.</p>
    </details>
  `
}

function within(text: string, min: number, max: number): number {
  return Math.min(max, Math.max(min, Math.floor(Number(text)) || min))
}
