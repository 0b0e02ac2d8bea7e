import { html } from 'htm/preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { activity, connection } from '../activity.ts'
import { age, timeOfDay } from '../format.ts'
import { session } from '../session.ts'
import { useStore } from '../store.ts'

/** Notices about the page as a whole. Screen readers say each when it comes; the seconds in it are not for them. */
export function Notices() {
  const now = useStore(activity)
  const postgres = now?.lights.find(({ name, state }) => name === 'postgres' && state === 'bad')
  return html`<div class="notices" role="status" aria-atomic="false">
    <${LostNotice} />
    <${BackNotice} />
    <${VersionNotice} />
    ${postgres && html`<p class="notice bad">${postgres.text} The page keeps the last figures of the database.</p>`}
    ${now?.now.is_shutting_down && html`<p class="notice warn">The service is shutting down.</p>`}
  </div>`
}

function LostNotice() {
  const { state, answeredAt, problem } = useStore(connection)
  const isLost = state === 'lost'
  const [, tick] = useState(0)
  useEffect(() => {
    if (!isLost) return undefined
    const timer = setInterval(() => tick(ticks => ticks + 1), 1000)
    return () => clearInterval(timer)
  }, [isLost])
  if (!isLost) return null
  return html`<p class="notice bad">
    ${problem ? `The service answers with an error: ${problem}` : 'Connection lost'}${' '}
    <span aria-hidden="true">${age(Date.now() - answeredAt)} ago</span>. Trying again. The page shows what it had.
  </p>`
}

/** Says that a new version of the page is there. */
function VersionNotice() {
  const version = useStore(session)?.version
  const first = useRef(version)
  first.current ??= version
  if (first.current === version) return null
  return html`<p class="notice warn">A new version is running. <button type="button" onClick=${() => location.reload()}>Reload</button></p>`
}

/** How long the page says that the connection is back. */
const NEWS_MS = 30_000

/** Says that the connection is back, or that the service has restarted. */
function BackNotice() {
  const { state } = useStore(connection)
  const startedAt = useStore(session)?.process.started_at
  const [news, setNews] = useState<string>()
  const before = useRef({ state, startedAt })
  useEffect(() => {
    const { state: stateBefore, startedAt: startedBefore } = before.current
    before.current = { state, startedAt }
    const hasRestarted = startedBefore !== undefined && startedAt !== undefined && startedAt !== startedBefore
    if (hasRestarted) setNews(`Connected again. The service restarted at ${timeOfDay(startedAt)}.`)
    else if (state === 'lost') setNews(undefined)
    else if (state === 'live' && stateBefore === 'lost') setNews(news => news ?? 'Connected again.')
  }, [state, startedAt])
  useEffect(() => {
    if (news === undefined) return undefined
    const timer = setTimeout(() => setNews(undefined), NEWS_MS)
    return () => clearTimeout(timer)
  }, [news])
  return news && html`<p class="notice ok">${news}</p>`
}
