import { html } from 'htm/preact'

/** The span of time that the width of the picture shows, epoch milliseconds. */
export interface Scale {
  readonly from: number
  readonly to: number
}

interface BarCell {
  readonly scale: Scale
  readonly from: number
  readonly to: number
  /** Until then it only waited. */
  readonly sentAt?: number | undefined
  readonly kind: string
  readonly isFailed: boolean
  readonly isOpen: boolean
  readonly isSlow?: boolean
}

/** The bar of a line. The other cells of the line say the same in words. */
export function BarCell({ scale, from, to, sentAt, kind, isFailed, isOpen, isSlow }: BarCell) {
  const percent = (at: number): number => Math.min(100, Math.max(0, ((at - scale.from) / (scale.to - scale.from)) * 100))
  const place = (begin: number, end: number) => ({ left: `${percent(begin)}%`, width: `${percent(end) - percent(begin)}%` })
  const classes = ['bar', kind, isFailed && 'failed', isOpen && 'open', isSlow && 'slow'].filter(Boolean).join(' ')
  const sent = sentAt === undefined ? from : Math.min(to, Math.max(from, sentAt))
  return html`<td class="picture" aria-hidden="true">
    <div class="track">
      ${sent > from && html`<div class="bar waiting" style=${place(from, sent)}></div>`}
      <div class=${classes} style=${place(sent, to)}></div>
    </div>
  </td>`
}
