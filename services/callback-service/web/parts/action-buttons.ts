import { html } from 'htm/preact'
import { useEffect, useState } from 'preact/hooks'
import { type Action, MAX_PRIORITY, MIN_PRIORITY } from '../steering.ts'
import { Confirm } from './confirm.ts'

interface ActionButtons {
  /** What the buttons act on, for the question before a cancel: `this callback`, `12 callbacks`. */
  readonly what: string
  readonly canDo: (kind: Action['kind']) => boolean
  /** Something is under way. Its buttons do nothing until it has ended. */
  readonly isBusy: boolean
  readonly priority?: number
  readonly onAction: (action: Action) => void
}

/** The buttons for all that can be done to callbacks. Disabled ones keep their place, so that nobody hits another one by accident. */
export function ActionButtons({ what, canDo, isBusy, priority = 0, onAction }: ActionButtons) {
  const [isAsking, setAsking] = useState(false)
  const [text, setText] = useState<string | undefined>(undefined)
  const shownPriority = text ?? String(priority)
  const isPriority = /^-?\d{1,3}$/.test(shownPriority) && Number(shownPriority) >= MIN_PRIORITY && Number(shownPriority) <= MAX_PRIORITY

  // Not as soon as it is sent: a second Enter would send the priority before it.
  useEffect(() => {
    if (text === String(priority)) setText(undefined)
  }, [text, priority])

  const button = (label: string, action: Action, act = () => onAction(action)) =>
    html`<button type="button" aria-disabled=${isBusy || !canDo(action.kind)} onClick=${() => !isBusy && canDo(action.kind) && act()}>${label}</button>`
  const setPriority = (event: Event): void => {
    event.preventDefault()
    if (isBusy || !isPriority || !canDo('prioritise')) return
    onAction({ kind: 'prioritise', priority: Number(shownPriority) })
  }
  const confirmed = (isConfirmed: boolean): void => {
    setAsking(false)
    if (isConfirmed) onAction({ kind: 'cancel' })
  }
  return html`<div class="row actions" role="group" aria-label="Change ${what}">
    ${button('Retry missing', { kind: 'retry', objects: 'missing' })}
    ${button('Retry all objects', { kind: 'retry', objects: 'all' })}
    ${button('Pause', { kind: 'pause' })}
    ${button('Resume', { kind: 'resume' })}
    <form class="row" onSubmit=${setPriority}>
      <label>Priority <input type="number" min=${MIN_PRIORITY} max=${MAX_PRIORITY} value=${shownPriority} onInput=${(event: Event) => setText((event.target as HTMLInputElement).value)} /></label>
      <button type="submit" aria-disabled=${isBusy || !isPriority || !canDo('prioritise')}>Set</button>
    </form>
    ${button('Cancel…', { kind: 'cancel' }, () => setAsking(true))}
    ${
      isAsking &&
      html`<${Confirm}
        title="Cancel ${what}?"
        text="Objects that are not fetched yet are not fetched. A cancelled callback does not go on by itself: somebody must retry it."
        verb="Cancel ${what}"
        onAnswer=${confirmed}
      />`
    }
  </div>`
}
