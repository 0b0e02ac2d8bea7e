import { html } from 'htm/preact'
import { duration } from '../format.ts'
import { hrefOf } from '../router.ts'
import { isUnfinished, type Sent } from '../sent.ts'

const MAX_CHIPS = 200
/** What the client service may say of an object. Everything else is a failure. */
const COME = ['stored', 'offline', 'not_found']

interface Chip {
  readonly id: string
  /** What became of the object; undefined: its fetch is under way. */
  readonly result: string | undefined
  readonly tookMs?: number | undefined
}

/** The objects of a callback, as they appear. */
export function ObjectChips({ one }: { one: Sent }) {
  const chips = chipsOf(one)
  const { receipt, attempt } = one
  if (!receipt || chips.length === 0) return null
  const come = chips.filter(({ result }) => COME.includes(result ?? '')).length
  return html`
    <p class="chip-count">${come === receipt.object_count ? `All ${come}` : `${come} of ${receipt.object_count}`} objects have come.</p>
    <ul class="chips" aria-label="Objects">${chips.slice(0, MAX_CHIPS).map(chip => html`<${ObjectChip} key=${chip.id} chip=${chip} />`)}</ul>
    ${chips.length > MAX_CHIPS && html`<a href=${hrefOf('callbacks', receipt.id, { workspace: attempt.workspace })}>${chips.length - MAX_CHIPS} more</a>`}
  `
}

function ObjectChip({ chip: { id, result, tookMs } }: { chip: Chip }) {
  const isWell = result === 'stored' || result === 'offline'
  const mark = result === undefined ? '…' : isWell ? '✓' : '✕'
  const tone = result === undefined ? 'quiet' : isWell ? 'ok' : 'bad'
  return html`<li class=${tone}><span aria-hidden="true">${mark}</span> <span class="id">${id}</span>${' '}
    <span class="quiet">${result === undefined ? 'under way' : result === 'stored' ? '' : result}${typeof tookMs === 'number' ? ` ${duration(tookMs)}` : ''}</span></li>`
}

/** The last fetch of each object while the callback runs; its outcomes when they are known. */
export function chipsOf(one: Sent): readonly Chip[] {
  const { fetches = [], callback } = one
  const last = new Map(
    fetches.map(({ id, result, duration_ms }) => [
      String(id),
      { id: String(id), result: result ?? undefined, tookMs: duration_ms ?? undefined },
    ]),
  )
  if (!callback || !('objects' in callback) || isUnfinished(one)) return [...last.values()]
  return callback.objects.map(({ id, outcome, reason }) => ({
    id: String(id),
    result: outcome === 'pending' ? undefined : outcome === 'failed' ? (reason ?? outcome) : outcome,
    tookMs: last.get(String(id))?.tookMs,
  }))
}
