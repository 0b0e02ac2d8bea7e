import { html } from 'htm/preact'
import { caller } from '../caller.ts'
import { SendForm } from '../parts/send-form.ts'
import { SentCallbacks } from '../parts/sent-callbacks.ts'
import { ClientServiceSwitches } from '../parts/switches.ts'
import type { Place } from '../router.ts'
import { session } from '../session.ts'
import { useStore } from '../store.ts'

/** Sends callbacks and shows what becomes of them; breaks the client service and heals it. */
export function TryView(_: { place: Place }) {
  return html`
    <h2>Try it</h2>
    <div class="try">
      <div>
        <section aria-labelledby="try-send">
          <h3 id="try-send">Send a callback</h3>
          <${SendForm} />
        </section>
        <section aria-labelledby="try-sent">
          <h3 id="try-sent">What became of them</h3>
          <${SentCallbacks} />
        </section>
      </div>
      <section aria-labelledby="try-break">
        <h3 id="try-break">Break the client service</h3>
        <${Switches} />
      </section>
    </div>
  `
}

function Switches() {
  const hasSwitches = useStore(session)?.has_switches
  const who = useStore(caller)
  if (!hasSwitches)
    return html`<p class="quiet">This service does not know the admin port of the client service: <code>clientService.adminUrl</code> is empty.</p>`
  if (!who) return null
  return who.role === 'superuser'
    ? html`<${ClientServiceSwitches} />`
    : html`<p class="quiet">Only a superuser may break the client service, because all workspaces may use it.</p>`
}
