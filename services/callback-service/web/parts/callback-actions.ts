import { html } from 'htm/preact'
import { useRef, useState } from 'preact/hooks'
import type { Callback } from '../callbacks.ts'
import type { OneCallback } from '../one-callback.ts'
import { steer } from '../steer.ts'
import { type Action, canDo, doneText, refusalText } from '../steering.ts'
import { ActionButtons } from './action-buttons.ts'
import { announce } from './announcement.ts'

interface CallbackActions {
  readonly callback: Callback
  readonly workspace: string
  readonly mayManage: boolean
  readonly isGone: boolean
  readonly one: OneCallback
}

/** What an operator can do to one callback. A request that is under way is not sent again. */
export function CallbackActions({ callback, workspace, mayManage, isGone, one }: CallbackActions) {
  const [isBusy, setBusy] = useState(false)
  // A second click can come before the buttons are rendered again.
  const isSending = useRef(false)

  const act = async (action: Action): Promise<void> => {
    if (isSending.current) return
    isSending.current = true
    setBusy(true)
    try {
      const changed = await steer(action, callback.id, workspace)
      // A worker may have claimed it since the page has read it.
      announce(doneText(action, (changed ?? callback).state))
    } catch (error) {
      announce(refusalText(error as Error), true)
    }
    isSending.current = false
    setBusy(false)
    one.refresh()
  }

  if (!mayManage) return html`<p class="quiet">Your key may look at this callback, but not change it.</p>`
  return html`<${ActionButtons}
    what="this callback"
    canDo=${(kind: Action['kind']) => !isGone && canDo(kind, callback)}
    isBusy=${isBusy}
    priority=${callback.priority}
    onAction=${act}
  />`
}
