import { html } from 'htm/preact'
import { useEffect, useRef } from 'preact/hooks'

interface Confirm {
  readonly title: string
  readonly text: string
  /** The text of the button that does it. */
  readonly verb: string
  readonly onAnswer: (isConfirmed: boolean) => void
}

/** Asks before something that cannot be taken back. Escape means no, and the focus goes back to where it was. */
export function Confirm({ title, text, verb, onAnswer }: Confirm) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const element = dialog.current
    element?.showModal()
    // It gives the focus back while it still can: what is outside of an open dialog takes none.
    return () => element?.close()
  }, [])
  const answer = (isConfirmed: boolean) => () => onAnswer(isConfirmed)
  return html`<dialog ref=${dialog} aria-labelledby="confirm-title" aria-describedby="confirm-text" onClose=${answer(false)}>
    <h3 id="confirm-title">${title}</h3>
    <p id="confirm-text">${text}</p>
    <div class="row">
      <button type="button" class="strong" onClick=${answer(true)}>${verb}</button>
      <button type="button" onClick=${answer(false)}>Leave it as it is</button>
    </div>
  </dialog>`
}
