import { html } from 'htm/preact'
import type { FunctionComponent } from 'preact'
import { useEffect, useErrorBoundary, useRef } from 'preact/hooks'
import { followActivity } from './activity.ts'
import { KeyGate, KeyStatus } from './parts/key-prompt.ts'
import { Notices } from './parts/notices.ts'
import { SchemeSwitch } from './parts/scheme-switch.ts'
import { currentPlace, hrefOf, type Place } from './router.ts'
import { session } from './session.ts'
import { useStore } from './store.ts'
import { AgentsView } from './views/agents.ts'
import { CallbacksView } from './views/callbacks.ts'
import { NowView } from './views/now.ts'
import { SendersView } from './views/senders.ts'
import { TryView } from './views/try.ts'

interface View {
  readonly name: string
  readonly title: string
  readonly view: FunctionComponent<{ place: Place }>
}

const NOW: View = { name: 'now', title: 'Now', view: NowView }

const VIEWS: readonly View[] = [
  NOW,
  { name: 'callbacks', title: 'Callbacks', view: CallbacksView },
  { name: 'senders', title: 'Senders', view: SendersView },
  { name: 'agents', title: 'Agents', view: AgentsView },
  { name: 'try', title: 'Try it', view: TryView },
]

const place = currentPlace()

/** The live page: the navigation, notices, and the view that the address names. */
export function App() {
  const here = useStore(place)
  const { name, title, view } = VIEWS.find(({ name }) => name === here.view) ?? NOW
  useEffect(followActivity, [])
  useEffect(() => {
    document.title = `${here.id ? `${here.id} · ` : ''}${title} · Answerback`
  }, [title, here.id])
  useFocusOnChange(`${name}/${here.id ?? ''}`)
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header>
      <h1>Answerback</h1>
      <nav aria-label="Views">
        ${VIEWS.map(view => html`<a href=${hrefOf(view.name)} aria-current=${view.name === name ? 'page' : undefined}>${view.title}</a>`)}
      </nav>
      <${KeyStatus} />
      <${ProcessName} />
      <${SchemeSwitch} />
    </header>
    <${Notices} />
    <main id="main" tabindex="-1"><${KeyGate}><${Guarded} key=${name} view=${view} place=${here} /><//></main>
  `
}

function ProcessName() {
  const known = useStore(session)
  return html`<span class="process">${known && `${known.process.host}, process ${known.process.pid}`}</span>`
}

/** A view that fails leaves the rest of the page alive. */
function Guarded({ view, place }: { view: View['view']; place: Place }) {
  const [error, reset] = useErrorBoundary(error => console.error(error))
  if (!error) return html`<${view} place=${place} />`
  return html`<h2>This view has failed</h2>
    <p class="bad">${String(error)}</p>
    <button type="button" onClick=${reset}>Show it again</button>`
}

/** Moves the focus to the heading of a new view, so that keyboards and screen readers begin there. Not at the first view: the page begins at its top. */
function useFocusOnChange(shown: string): void {
  const before = useRef(shown)
  useEffect(() => {
    if (before.current === shown) return
    before.current = shown
    const heading = document.querySelector<HTMLElement>('main h2') ?? document.querySelector<HTMLElement>('main')
    heading?.setAttribute('tabindex', '-1')
    heading?.focus()
    scrollTo(0, 0)
  }, [shown])
}

function skip(event: Event): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}
