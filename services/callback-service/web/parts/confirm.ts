import { html } from 'htm/preact'
import { useEffect, useRef } from 'preact/hooks'

interface Confirm {
  readonly title: string
  readonly text: string
  /** The text of the button that does it. */
  readonly verb: string
  readonly onAnswer: (isConfirmed: boolean) => void
}

const YES = 'yes'

/** Asks before something that cannot be taken back. Escape means no, and the focus goes back to where it was. */
export function Confirm({ title, text, verb, onAnswer }: Confirm) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  // The browser gives the focus back when the dialog closes, but not when it is only taken away.
  const close = (answer: string) => () => dialog.current?.close(answer)
  const closed = (): void => onAnswer(dialog.current?.returnValue === YES)
  return html`<dialog ref=${dialog} aria-labelledby="confirm-title" aria-describedby="confirm-text" onClose=${closed}>
    <h3 id="confirm-title">${title}</h3>
    <p id="confirm-text">${text}</p>
    <div class="row">
      <button type="button" class="strong" onClick=${close(YES)}>${verb}</button>
      <button type="button" onClick=${close('')}>Leave it as it is</button>
    </div>
  </dialog>`
}
