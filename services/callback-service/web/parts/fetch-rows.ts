import { html } from 'htm/preact'
import { useState } from 'preact/hooks'
import { duration, number } from '../format.ts'
import { hrefOf } from '../router.ts'
import { type FetchBar, mostTelling } from '../timeline-fetches.ts'
import { BarCell, type Scale } from './timeline-bar.ts'

const STEP = 25

interface FetchRows {
  readonly fetches: readonly FetchBar[]
  readonly first: number
  readonly scale: Scale
  readonly workspace: string
}

/** The fetches of one attempt. Of many, it shows the failed and the slowest ones first. */
export function FetchRows({ fetches, first, scale, workspace }: FetchRows) {
  const [shown, setShown] = useState(STEP)
  const chosen = mostTelling(fetches, shown)
  const left = fetches.length - chosen.length
  return html`${chosen.map(
    ({ id, from, to, sentAt, isOpen, isFailed, isSlow, isShared, result }) => html`<tr class="line fetch" key=${`${id} ${from}`}>
      <td class="inner">Object <a class="id" href=${hrefOf('callbacks', undefined, { workspace, object_id: id })}>${id}</a></td>
      <td class="number">+${duration(Math.max(0, from - first))}</td>
      <td class="number">${isSlow && html`<strong class="warn">slow </strong>`}${duration(to - from)}${isOpen ? ' so far' : ''}</td>
      <td class=${isFailed ? 'bad' : ''}>${isFailed && html`<span aria-hidden="true">✗ </span>`}${result.replaceAll('_', ' ')}${isShared ? ', by the fetch of another callback' : ''}</td>
      <${BarCell} scale=${scale} from=${from} to=${to} sentAt=${sentAt} kind="fetch" isFailed=${isFailed} isOpen=${isOpen} isSlow=${isSlow} />
    </tr>`,
  )}
  ${
    left > 0 &&
    html`<tr><td colspan="5" class="inner">
      <button type="button" onClick=${() => setShown(shown + 4 * STEP)}>Show ${Math.min(left, 4 * STEP)} more fetches of ${number(fetches.length)}</button>
    </td></tr>`
  }`
}
