import { html } from 'htm/preact'
import { useEffect, useMemo } from 'preact/hooks'
import { ask } from '../api.ts'
import { age } from '../format.ts'
import { OneCallback } from '../one-callback.ts'
import { CallbackActions } from '../parts/callback-actions.ts'
import { CallbackFacts } from '../parts/callback-facts.ts'
import { CopyButton } from '../parts/callback-marks.ts'
import { CallbackObjects } from '../parts/callback-objects.ts'
import { TimelineTable } from '../parts/timeline-table.ts'
import { useNow } from '../parts/use-now.ts'
import { useShownAgain } from '../parts/use-shown-again.ts'
import { accessKey } from '../session.ts'
import { useStore } from '../store.ts'

interface CallbackPlace {
  readonly id: string
  readonly workspace: string
  readonly mayManage: boolean
  /** The list that the operator came from. */
  readonly back: string
}

/** One callback: facts, actions, timeline and objects. It follows the callback while it is shown. */
export function CallbackView({ id, workspace, mayManage, back }: CallbackPlace) {
  const key = useStore(accessKey)
  const one = useMemo(() => new OneCallback(id, workspace, ask), [id, workspace, key])
  useEffect(() => {
    one.start()
    return () => one.stop()
  }, [one])
  useShownAgain(() => one.refresh())
  const { callback, events, fetches, problem, isGone, at } = useStore(one.view)
  const now = useNow()
  return html`
    <p><a href=${back}>← Callbacks</a></p>
    <h2>Callback <span class="id">${id}</span> <${CopyButton} text=${id} /></h2>
    <div role="status">
      ${isGone && html`<p class="bad">${goneText(callback !== undefined, problem)}</p>`}
      ${!isGone && problem !== undefined && html`<p class="bad">The service cannot say now how it is: ${problem}</p>`}
    </div>
    ${problem !== undefined && callback && html`<p class="quiet">What you see is ${age(now - at)} old.</p>`}
    ${callback === undefined && problem === undefined && html`<p class="quiet">Reading…</p>`}
    ${
      callback &&
      html`
        <${CallbackActions} callback=${callback} workspace=${workspace} mayManage=${mayManage} isGone=${isGone} one=${one} />
        <${CallbackFacts} callback=${callback} now=${now} />
        <${TimelineTable} events=${events} fetches=${fetches} now=${problem === undefined ? now : at} workspace=${workspace} />
        <${CallbackObjects} objects=${callback.objects} workspace=${workspace} />
      `
    }
  `
}

function goneText(wasThere: boolean, problem: string | undefined): string {
  return wasThere ? 'The service has deleted this callback meanwhile. You see what it was.' : (problem ?? '')
}
