import { html } from 'htm/preact'
import { Store, useStore } from '../store.ts'

interface Announced {
  readonly text: string
  readonly isBad: boolean
  /** Differs each time, so that the same words are said again. */
  readonly count: number
}

const NOTHING: Announced = { text: '', isBad: false, count: 0 }
const announced = new Store<Announced>(NOTHING)

/** Says the result of what the operator did, to eyes and to screen readers. */
export function announce(text: string, isBad = false): void {
  announced.set({ text, isBad, count: announced.value.count + 1 })
}

/** Forgets it, for example because the operator looks at something else now. */
export function announceNothing(): void {
  announced.set({ ...NOTHING, count: announced.value.count })
}

/** Where it is said. It is always there, because screen readers watch only what they have seen. */
export function Announcement() {
  const { text, isBad, count } = useStore(announced)
  return html`<p class=${text ? `announcement ${isBad ? 'bad' : 'ok'}` : 'announcement empty'} role="status">
    ${text && html`<span key=${count}><span aria-hidden="true">${isBad ? '✗ ' : '✓ '}</span>${text}</span>`}
  </p>`
}
