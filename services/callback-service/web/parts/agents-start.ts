import { html } from 'htm/preact'

/** Says to somebody who has no agent what one is, and how to get one. */
export function AgentsStart({ mayManage }: { mayManage: boolean }) {
  return html`<div class="agents-start">
    <p>This workspace has no agents.</p>
    <p>
      An agent is a program beside a client service that this service cannot reach. It asks here for callbacks, fetches their objects there, and delivers them.
      It needs outgoing HTTPS only.
    </p>
    ${
      mayManage
        ? html`<ol>
            <li>Make an agent below. The page then shows its key and the command that starts it.</li>
            <li>Run the command on a machine that reaches the client service.</li>
            <li>Let agents fetch the objects of this workspace. Until then, the service fetches them itself.</li>
          </ol>`
        : html`<p>Somebody with a key of role manage can make one.</p>`
    }
  </div>`
}
