import { html } from 'htm/preact'
import { useEffect, useRef } from 'preact/hooks'
import { commandOf } from '../agent-requests.ts'
import { session } from '../session.ts'
import { useStore } from '../store.ts'
import { CopyButton } from './callback-marks.ts'

/** Shows the key of an agent, once, with the command that starts the agent. */
export function AgentKey({ name, apiKey, onDone }: { name: string; apiKey: string; onDone: () => void }) {
  const known = useStore(session)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [apiKey])
  const command = commandOf(apiKey, `http://${location.hostname}:${known?.sender_port}`)
  return html`<section class="agent-key" aria-labelledby="agent-key">
    <h3 id="agent-key" tabindex="-1" ref=${heading}>The key of ${name}</h3>
    <p><strong>Nobody can show it again.</strong> Only a digest of it is stored. Copy it now, to where the agent will run.</p>
    <p><code class="key">${apiKey}</code> <${CopyButton} text=${apiKey} /></p>
    <p>Run this on a machine that reaches the client service. Put in its address, and the address that leads from there to this service:</p>
    <pre tabindex="0"><code>${command}</code></pre>
    <p><button type="button" onClick=${onDone}>I have copied it</button></p>
  </section>`
}
