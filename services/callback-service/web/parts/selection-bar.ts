import { html } from 'htm/preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Callback, ListedCallback } from '../callbacks.ts'
import { number } from '../format.ts'
import type { LiveCallbacks } from '../live-callbacks.ts'
import { steer } from '../steer.ts'
import { outcomeText, type SteeredMany, steerMany, triedOf } from '../steer-many.ts'
import { type Action, canDo } from '../steering.ts'
import { ActionButtons } from './action-buttons.ts'
import { announce } from './announcement.ts'

interface SelectionBar {
  readonly chosen: readonly ListedCallback[]
  readonly live: LiveCallbacks
  /** Nothing shall be selected any more. */
  readonly onDone: () => void
}

/** Changes the selected callbacks, one after the other. */
export function SelectionBar({ chosen, live, onDone }: SelectionBar) {
  const [progress, setProgress] = useState<SteeredMany | undefined>(undefined)
  const stop = useRef<AbortController | undefined>(undefined)
  useEffect(() => () => stop.current?.abort(), [live])

  const act = async (action: Action): Promise<void> => {
    if (stop.current) return
    const controller = new AbortController()
    stop.current = controller
    const possible = chosen.filter(callback => canDo(action.kind, callback))
    const one = async ({ id, workspace }: ListedCallback): Promise<void> => {
      try {
        await live.takeAnswer(steer(action, id, workspace).then(changed => changed && withoutObjects(changed)))
      } catch (error) {
        if ((error as { code?: string }).code === 'callback_not_found') live.remove(id)
        throw error
      }
    }
    const result = await steerMany(possible, one, setProgress, controller.signal)
    stop.current = undefined
    setProgress(undefined)
    announce(outcomeText(action.kind, result), result.done < possible.length)
    if (result.done === possible.length) onDone()
  }

  if (chosen.length === 0) return null
  const can = (kind: Action['kind']): boolean => chosen.some(callback => canDo(kind, callback))
  const what = chosen.length === 1 ? '1 callback' : `${number(chosen.length)} callbacks`
  return html`<section class="selection" aria-label="Selection">
    <div class="row">
      <strong>${what} selected</strong>
      <button type="button" onClick=${onDone}>Select none</button>
      ${
        progress &&
        html`<progress aria-label="Progress" value=${triedOf(progress)} max=${progress.of}></progress>
          <span>${progress.done} of ${progress.of}</span>
          <button type="button" onClick=${() => stop.current?.abort()}>Stop</button>`
      }
    </div>
    <${ActionButtons} what=${what} canDo=${can} isBusy=${progress !== undefined} onAction=${act} />
  </section>`
}

/** The table keeps many callbacks, and each may name 1,000 objects. */
function withoutObjects({ objects: _, ...listed }: Callback): ListedCallback {
  return listed
}
