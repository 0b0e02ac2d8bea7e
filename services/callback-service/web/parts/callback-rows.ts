import { html } from 'htm/preact'
import type { ListedCallback } from '../callbacks.ts'
import { hrefOf } from '../router.ts'
import { IdLink, Moment, StateMark, spanText } from './callback-marks.ts'

interface Rows {
  readonly rows: readonly ListedCallback[]
  readonly workspace: string
  readonly now: number
  readonly selected: ReadonlySet<string>
  /** Undefined: the caller may change nothing, so there is nothing to select for. */
  readonly onSelect: ((ids: readonly string[], isSelected: boolean) => void) | undefined
  readonly onFocus: (hasFocus: boolean) => void
}

/** The table of callbacks. */
export function CallbackRows({ rows, workspace, now, selected, onSelect, onFocus }: Rows) {
  const areAll = rows.length > 0 && rows.every(({ id }) => selected.has(id))
  const selectAll = (event: Event): void =>
    onSelect?.(
      rows.map(({ id }) => id),
      (event.target as HTMLInputElement).checked,
    )
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of callbacks">
    <table class="callbacks">
      <caption class="hidden">Callbacks of the workspace ${workspace}, newest first</caption>
      <thead>
        <tr>
          ${onSelect && html`<td><input type="checkbox" aria-label="Select all rows of this page" checked=${areAll} onChange=${selectAll} /></td>`}
          <th scope="col">State</th>
          <th scope="col">Callback</th>
          <th scope="col">Received</th>
          <th scope="col">Took</th>
          <th scope="col" class="number">Attempts</th>
          <th scope="col" class="number">Objects</th>
          <th scope="col" class="number">Priority</th>
        </tr>
      </thead>
      <tbody onFocusIn=${() => onFocus(true)} onFocusOut=${(event: FocusEvent) => onFocus(isInside(event))}>
        ${rows.map(
          callback =>
            html`<${Row} key=${callback.id} callback=${callback} workspace=${workspace} now=${now} isSelected=${selected.has(callback.id)} onSelect=${onSelect} />`,
        )}
      </tbody>
    </table>
  </div>`
}

interface RowProps extends Pick<Rows, 'workspace' | 'now' | 'onSelect'> {
  readonly callback: ListedCallback
  readonly isSelected: boolean
}

function Row({ callback, workspace, now, isSelected, onSelect }: RowProps) {
  const { id, received_at, attempts, object_count, priority } = callback
  const select = (event: Event): void => onSelect?.([id], (event.target as HTMLInputElement).checked)
  return html`<tr>
    ${onSelect && html`<td><input type="checkbox" aria-label="Select ${id}" checked=${isSelected} onChange=${select} /></td>`}
    <td><${StateMark} callback=${callback} /></td>
    <td class="nowrap"><${IdLink} id=${id} href=${hrefOf('callbacks', id, { workspace })} /></td>
    <td class="nowrap"><${Moment} at=${received_at} now=${now} /></td>
    <td class="nowrap">${spanText(callback, now)}</td>
    <td class="number">${attempts}</td>
    <td class="number">${object_count}</td>
    <td class="number">${priority}</td>
  </tr>`
}

/** Whether the focus only moves from one row to another. */
function isInside({ currentTarget, relatedTarget }: FocusEvent): boolean {
  return relatedTarget instanceof Node && (currentTarget as Node).contains(relatedTarget)
}
