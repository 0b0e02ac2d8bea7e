import { html } from 'htm/preact'
import { activity } from '../activity.ts'
import type { Unsuited } from '../activity-types.ts'
import { number } from '../format.ts'
import { hrefOf } from '../router.ts'
import { useStore } from '../store.ts'

/** The callbacks of all workspaces that no living agent suits. Nothing if there are none. */
export function UnsuitedCallbacks({ unsuited }: { unsuited: readonly Unsuited[] }) {
  if (unsuited.length === 0) return null
  return html`<section aria-labelledby="unsuited" class="trouble">
    <h3 id="unsuited">Callbacks that no living agent suits</h3>
    <ul>
      ${unsuited.map(
        one => html`<li key=${one.workspace}>
          <a href=${hrefOf('agents', undefined, { workspace: one.workspace })}>${one.workspace}</a>: ${number(one.callbacks)}, the oldest is <${Oldest} ...${one} />
        </li>`,
      )}
    </ul>
  </section>`
}

/** Says that no living agent of a workspace suits some of its callbacks. Nothing if each has one. */
export function UnsuitedNote({ workspace }: { workspace: string }) {
  const own = useStore(activity)?.now.unsuited.find(one => one.workspace === workspace)
  if (!own) return null
  return html`<div class="notice warn">
    <span>
      <span aria-hidden="true">▲ </span>No living agent suits ${own.callbacks === 1 ? 'a callback' : `${number(own.callbacks)} callbacks`} of this workspace.${' '}
      Compare the labels of <${Oldest} ...${own} /> with those of the agents, or assign it to one.
    </span>
  </div>`
}

function Oldest({ workspace, oldest }: Unsuited) {
  return html`<a class="id" href=${hrefOf('callbacks', oldest, { workspace })}>${oldest}</a>`
}
