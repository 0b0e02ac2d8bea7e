import { html } from 'htm/preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ask } from '../api.ts'
import { type CallbackFilter, filterOf, int64Of, isSameFilter, queryOf } from '../callback-filter.ts'
import { caller, mayManage as mayManageIn } from '../caller.ts'
import { LiveCallbacks } from '../live-callbacks.ts'
import { Announcement, announceNothing } from '../parts/announcement.ts'
import { Bulk } from '../parts/bulk.ts'
import { CallbackFilterForm } from '../parts/callback-filter-form.ts'
import { CallbackList } from '../parts/callback-list.ts'
import { hrefOf, type Place } from '../router.ts'
import { accessKey } from '../session.ts'
import { useStore } from '../store.ts'
import { listen } from '../stream.ts'
import { workspaceOfKey } from '../workspaces.ts'
import { CallbackView } from './callback.ts'

/** The callbacks of a workspace, or one of them. */
export function CallbacksView({ place: { id, query } }: { place: Place }) {
  const key = useStore(accessKey)
  const filter = filterOf(query, workspaceOfKey(key))
  const mayManage = mayManageIn(useStore(caller), filter.workspace)
  const listed = useRef(filter)
  if (id === undefined) listed.current = filter
  // The table stays alive while the operator looks at one callback of it.
  const live = useLive(id === undefined ? filter : undefined, key)
  useEffect(() => announceNothing, [id, filter.workspace])
  return html`
    <${Announcement} />
    ${
      id === undefined
        ? html`<${ListPlace} filter=${filter} live=${live} mayManage=${mayManage} />`
        : html`<${CallbackView}
            key=${`${filter.workspace}/${id}`}
            id=${id}
            workspace=${filter.workspace}
            mayManage=${mayManage}
            back=${hrefOf('callbacks', undefined, queryOf({ ...listed.current, workspace: filter.workspace }))}
          />`
    }
  `
}

interface ListPlace {
  readonly filter: CallbackFilter
  readonly live: LiveCallbacks | undefined
  readonly mayManage: boolean
}

function ListPlace({ filter, live, mayManage }: ListPlace) {
  return html`
    <h2>Callbacks</h2>
    <${CallbackFilterForm} filter=${filter} />
    ${!isPossible(filter) && html`<p class="bad">The address names an object id that is not a 64-bit integer.</p>`}
    ${!mayManage && html`<p class="quiet">Your key may look at callbacks of this workspace, but not change them.</p>`}
    ${mayManage && html`<${Bulk} key=${filter.workspace} filter=${filter} />`}
    ${live && html`<${CallbackList} key=${JSON.stringify(queryOf(live.filter))} live=${live} mayManage=${mayManage} />`}
  `
}

function isPossible({ objectId }: CallbackFilter): boolean {
  return objectId === '' || int64Of(objectId) !== undefined
}

/** Keeps one live table: that of the filter. @param filter undefined: no table is shown now, so the last one stays */
function useLive(filter: CallbackFilter | undefined, key: string): LiveCallbacks | undefined {
  const [live, setLive] = useState<LiveCallbacks | undefined>(undefined)
  const current = useRef<{ live: LiveCallbacks; key: string } | undefined>(undefined)
  useEffect(() => {
    if (!filter || (current.current && current.current.key === key && isSameFilter(current.current.live.filter, filter))) return
    current.current?.live.stop()
    current.current = undefined
    if (isPossible(filter)) {
      current.current = { live: new LiveCallbacks(filter, { read: ask, listen }), key }
      current.current.live.start()
    }
    setLive(current.current?.live)
  })
  useEffect(() => () => current.current?.live.stop(), [])
  return live
}
