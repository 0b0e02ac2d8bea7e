import { html } from 'htm/preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { caller, mayRead } from '../caller.ts'
import { number } from '../format.ts'
import type { LiveCallbacks } from '../live-callbacks.ts'
import { useStore } from '../store.ts'
import { CallbackRows } from './callback-rows.ts'
import { LiveStatus } from './live-status.ts'
import { SelectionBar } from './selection-bar.ts'
import { useNow } from './use-now.ts'

/** Rows in the document. */
const PAGE = 50
const NONE: ReadonlySet<string> = new Set()

/** The live table. New rows wait while the operator reads further down, has selected rows, or has paused it. */
export function CallbackList({ live, mayManage }: { live: LiveCallbacks; mayManage: boolean }) {
  const view = useStore(live.view)
  const mayFollow = mayRead(useStore(caller), live.filter.workspace)
  const now = useNow()
  const [page, setPage] = useState(0)
  const [selected, setSelected] = useState(NONE)
  const [isPaused, setPaused] = useState(false)
  const [hasFocus, setFocus] = useState(false)
  const [top, isScrolled] = useIsScrolledPast()
  const rows = view.rows.slice(page * PAGE, (page + 1) * PAGE)
  const chosen = view.rows.filter(({ id }) => selected.has(id))
  const isHeld = isPaused || hasFocus || isScrolled || page > 0 || chosen.length > 0
  useEffect(() => live.setHeld(isHeld), [live, isHeld])
  useEffect(() => {
    if (page > 0 && rows.length === 0) setPage(Math.max(0, Math.ceil(view.rows.length / PAGE) - 1))
  }, [page, rows.length])

  const select = (ids: readonly string[], isSelected: boolean): void =>
    setSelected(before => {
      const after = new Set(before)
      for (const id of ids) isSelected ? after.add(id) : after.delete(id)
      return after
    })
  const showNewer = (): void => {
    setPage(0)
    setSelected(NONE)
    setPaused(false)
    scrollTo({ top: 0 })
  }
  // The bar goes away, and the focus with it.
  const selectNone = (): void => {
    setSelected(NONE)
    top.current?.focus()
  }
  return html`
    <div class="row" ref=${top} tabindex="-1">
      <${LiveStatus} view=${view} mayFollow=${mayFollow} />
      <button type="button" aria-pressed=${isPaused} onClick=${() => setPaused(!isPaused)}>${isPaused ? 'Continue' : 'Pause updates'}</button>
      ${view.newer > 0 && html`<button type="button" class="newer" onClick=${showNewer}>${newerText(view)}</button>`}
    </div>
    ${mayManage && html`<${SelectionBar} chosen=${chosen} live=${live} onDone=${selectNone} />`}
    <${CallbackRows} rows=${rows} workspace=${live.filter.workspace} now=${now} selected=${selected} onSelect=${mayManage ? select : undefined} onFocus=${setFocus} />
    ${view.rows.length === 0 && view.list === 'loaded' && html`<p>No callback matches.</p>`}
    <${Pager} live=${live} page=${page} onPage=${setPage} />
  `
}

function newerText({ newer, isNewerCut }: { newer: number; isNewerCut: boolean }): string {
  return isNewerCut ? `More than ${number(newer)} newer: show` : `${number(newer)} newer: show`
}

/** Leads through the rows that the page has, and reads more where they end. */
function Pager({ live, page, onPage }: { live: LiveCallbacks; page: number; onPage: (page: number) => void }) {
  const { rows, hasOlder, isCut, list } = live.view.value
  const isLast = (page + 1) * PAGE >= rows.length
  const [isWanted, setWanted] = useState(false)
  // The page may come late, after some tries.
  useEffect(() => {
    if (!isWanted || (isLast && (hasOlder || list !== 'loaded'))) return
    setWanted(false)
    if (!isLast) onPage(page + 1)
  }, [isWanted, isLast, hasOlder, list])
  const older = (): void => {
    setWanted(true)
    if (isLast) void live.loadOlder()
  }
  const canOlder = !isLast || (hasOlder && !isCut && list === 'loaded')
  return html`<nav class="row" aria-label="Pages">
    <button type="button" disabled=${page === 0} onClick=${() => onPage(page - 1)}>Newer</button>
    <span>Rows ${rows.length === 0 ? 0 : page * PAGE + 1} to ${Math.min(rows.length, (page + 1) * PAGE)} of ${number(rows.length)}${hasOlder || isCut ? ', and older ones' : ''}</span>
    <button type="button" disabled=${!canOlder} onClick=${older}>Older</button>
    ${isLast && isCut && html`<span class="quiet">The page keeps 1,000 callbacks. Choose states or an object to see older ones.</span>`}
  </nav>`
}

/** Tells whether an element has been scrolled out at the top. */
function useIsScrolledPast() {
  const element = useRef<HTMLElement>(null)
  const [isPast, setPast] = useState(false)
  useEffect(() => {
    const observer = new IntersectionObserver(entries => {
      const last = entries.at(-1)
      if (last) setPast(!last.isIntersecting && last.boundingClientRect.top < 0)
    })
    if (element.current) observer.observe(element.current)
    return () => observer.disconnect()
  }, [])
  return [element, isPast] as const
}
