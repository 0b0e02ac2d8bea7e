import { html } from 'htm/preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { ask } from '../api.ts'
import type { CallbackFilter } from '../callback-filter.ts'
import { OperationFeed } from '../operation-feed.ts'
import { isUnderWay } from '../operations.ts'
import { useStore } from '../store.ts'
import { BulkForm } from './bulk-form.ts'
import { OperationList } from './operation-list.ts'
import { useShownAgain } from './use-shown-again.ts'

/** Changes of many callbacks: the form that starts one, and those of the workspace. */
export function Bulk({ filter }: { filter: CallbackFilter }) {
  const { workspace } = filter
  const feed = useMemo(() => new OperationFeed(workspace, ask), [workspace])
  useEffect(() => {
    feed.start()
    return () => feed.stop()
  }, [feed])
  useShownAgain(() => feed.refresh())
  const { operations, problem } = useStore(feed.view)
  const underWay = operations?.filter(isUnderWay).length ?? 0
  const [isOpen, setOpen] = useState(false)
  // It does not close by itself, so that the end of an operation can be read.
  useEffect(() => {
    if (underWay > 0) setOpen(true)
  }, [underWay > 0])
  return html`
    <section class="bulk" aria-label="Changes of many callbacks">
      <details>
        <summary>Change all callbacks that match a filter</summary>
        <${BulkForm} filter=${filter} onStarted=${feed.add.bind(feed)} />
      </details>
      <details open=${isOpen} onToggle=${(event: Event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
        <summary>Operations of ${workspace}${operations && `: ${underWay} under way, ${operations.length - underWay} ended`}</summary>
        ${problem !== undefined && html`<p class="bad">How far they are is not known now: ${problem}</p>`}
        <${OperationList} operations=${operations ?? []} workspace=${workspace} feed=${feed} />
      </details>
    </section>
  `
}
