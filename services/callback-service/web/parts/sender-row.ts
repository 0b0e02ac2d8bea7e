import { html } from 'htm/preact'
import { BASE, barsOf, HEIGHT, WIDTH } from '../bars.ts'
import { number } from '../format.ts'
import { hrefOf } from '../router.ts'
import { lastSeenText, limitText, minutesText, usualText } from '../sender-texts.ts'
import type { LimitUse, WorkspaceTraffic } from '../traffic.ts'

/** One workspace. @param props.atMs the service's time of now */
export function SenderRow({ sender, atMs }: { readonly sender: WorkspaceTraffic; readonly atMs: number }) {
  const { workspace, received_total: received, failed_total: failed, is_silent: isSilent, unfinished, paused } = sender
  const query = { workspace }
  return html`<tr class=${isSilent ? 'silent' : undefined}>
    <th scope="row">
      <a href=${hrefOf('callbacks', undefined, query)}>${workspace}</a>
      ${sender.fetcher === 'agents' && html` <a class="badge" href=${hrefOf('agents', undefined, query)} title="Agents fetch its objects.">agents</a>`}
      ${sender.is_paused && html` <span class="badge">paused</span>`}
      ${sender.is_archived && html` <span class="badge">archived</span>`}
    </th>
    <td><${Sparkline} sender=${sender} /></td>
    <td class="number">${number(received)}</td>
    <td class="number">
      ${failed > 0 ? html`<a class="bad" href=${hrefOf('callbacks', undefined, { ...query, state: 'failed' })}>${number(failed)}</a>` : '0'}
    </td>
    <td>
      ${isSilent && html`<strong class="warn"><span aria-hidden="true">▲ </span>silent</strong>${', '}`}
      <span title=${sender.last_received_at ?? undefined}>${lastSeenText(sender, atMs)}</span>
      ${isSilent && html`<span class="quiet"> (${usualText(sender)})</span>`}
    </td>
    <td class="number">
      ${unfinished === null ? 'not counted yet' : number(unfinished)}
      ${paused ? html`<span class="quiet"> (${number(paused)} paused)</span>` : ''}
    </td>
    <td>${sender.limits.map(limit => html`<${Limit} key=${limit.name} limit=${limit} />`)}${sender.limits.length === 0 && html`<span class="quiet">none</span>`}</td>
  </tr>`
}

function Sparkline({ sender }: { readonly sender: WorkspaceTraffic }) {
  const { up, down, unknown } = barsOf(sender.received, sender.failed)
  return html`<svg class="bars" viewBox="0 0 ${WIDTH} ${HEIGHT}" width=${WIDTH} height=${HEIGHT} role="img" aria-label=${minutesText(sender)}>
    <title>${minutesText(sender)}</title>
    <path class="base" d="M0 ${BASE}H${WIDTH}" />
    <path class="up" d=${up} />
    <path class="down" d=${down} />
    <path class="unknown" d=${unknown} />
  </svg>`
}

function Limit({ limit }: { readonly limit: LimitUse }) {
  const { name, use, mark, title } = limitText(limit)
  return html`<div class="limit" title=${title}>
    <meter min="0" max="1" high="0.8" value=${Math.min(1, limit.share ?? 0)} aria-label=${name}>${use}</meter>
    <span>${name}: ${use}${mark && html` <strong class=${mark === 'near' ? 'warn' : 'bad'}><span aria-hidden="true">▲ </span>${mark}</strong>`}</span>
  </div>`
}
