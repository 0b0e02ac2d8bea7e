import { html } from 'htm/preact'
import type { ActivityNow } from '../activity-types.ts'
import { TROUBLES } from '../figures.ts'
import { number, timeOfDay } from '../format.ts'
import { hrefOf } from '../router.ts'

/** The workspaces whose client service gets no requests at the moment. Nothing if all are well. */
export function Trouble({ client_services: troubles, client_services_not_well: count }: ActivityNow) {
  if (troubles.length === 0) return null
  return html`<section aria-labelledby="trouble" class="trouble">
    <h3 id="trouble">Client services that are not well</h3>
    <ul>
      ${troubles.map(
        ({ workspace, state, until }) => html`<li key=${workspace}>
          <a href=${hrefOf('callbacks', undefined, { workspace })}>${workspace}</a>:${' '}
          ${TROUBLES[state]}, ${until ? `next request at ${timeOfDay(until)}` : 'next request now'}
        </li>`,
      )}
      ${count > troubles.length && html`<li>and ${number(count - troubles.length)} more</li>`}
    </ul>
  </section>`
}
