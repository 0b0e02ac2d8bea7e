import { html } from 'htm/preact'
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { caller, findCaller, forgetKey, refusal, takeKey } from '../caller.ts'
import { accessKey, session } from '../session.ts'
import { useStore } from '../store.ts'

/** A revoked key is noticed within this time. */
const CHECK_MS = 10_000

/** Shows its children to callers that the service knows. Where callers need a key, it asks everybody else for one. */
export function KeyGate({ children }: { children?: ComponentChildren }) {
  const known = useStore(session)
  const who = useStore(caller)
  const key = useStore(accessKey)
  const problem = useStore(refusal)
  // Another process may need a key, or know other keys.
  const processStart = known?.process.started_at
  const needsKey = known?.needs_key
  useEffect(() => {
    if (processStart === undefined) return undefined
    void findCaller()
    // Where nobody needs a key, one answer is enough.
    const check = (): void => void ((needsKey || !caller.value) && findCaller())
    const timer = setInterval(check, CHECK_MS)
    return () => clearInterval(timer)
  }, [processStart, needsKey])
  if (!known) return html`<p class="quiet" role="status">Connecting to the service.</p>`
  if (!known.needs_key || who) return children
  if (key !== '' && problem === undefined) return html`<p class="quiet" role="status">Asking the service about the key.</p>`
  return html`<${KeyPrompt} problem=${problem} />`
}

/** Asks for a key. The tab keeps it, and nothing else does. */
function KeyPrompt({ problem }: { problem: string | undefined }) {
  const [flaw, setFlaw] = useState<string>()
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    const key = String(new FormData(event.currentTarget as HTMLFormElement).get('key')).trim()
    // A header could not carry anything else.
    const isPlain = /^[\x21-\x7e]{1,512}$/.test(key)
    setFlaw(isPlain ? undefined : 'A key has 1 to 512 letters, digits and signs, without spaces.')
    if (isPlain) await takeKey(key)
  }
  return html`
    <form class="key-prompt" onSubmit=${submit}>
      <h2>The service asks for a key</h2>
      <p>Enter a key of a workspace, or one of a superuser. Only this tab keeps it, until you close it or forget the key.</p>
      <label>Key <input name="key" type="password" autocomplete="off" spellcheck=${false} required autofocus aria-describedby="key-problem" /></label>
      <button type="submit">Use the key</button>
      <p id="key-problem" class="bad" role="alert">${flaw ?? problem ?? ''}</p>
    </form>
  `
}

/** Says whose key the page sends, and forgets it on demand. */
export function KeyStatus() {
  const known = useStore(session)
  const who = useStore(caller)
  if (!known?.needs_key || !who) return null
  const where = who.workspace === null ? 'all workspaces' : `workspace ${who.workspace}`
  return html`<span class="key-status">
    Key of ${who.role === 'superuser' ? 'a superuser' : `role ${who.role}`}, ${where}
    <button type="button" onClick=${forgetKey}>Change the key</button>
  </span>`
}
