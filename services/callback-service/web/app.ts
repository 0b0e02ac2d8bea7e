import { html } from 'htm/preact'
import type { FunctionComponent } from 'preact'
import { useEffect } from 'preact/hooks'
import { currentPlace, hrefOf, type Place } from './router.ts'
import { loadSession, session } from './session.ts'
import { useStore } from './store.ts'
import { CallbacksView } from './views/callbacks.ts'
import { NowView } from './views/now.ts'
import { SendersView } from './views/senders.ts'
import { TryView } from './views/try.ts'

const VIEWS: Readonly<Record<string, { readonly title: string; readonly view: FunctionComponent<{ place: Place }> }>> = {
  now: { title: 'Now', view: NowView },
  callbacks: { title: 'Callbacks', view: CallbacksView },
  senders: { title: 'Senders', view: SendersView },
  try: { title: 'Try it', view: TryView },
}

const place = currentPlace()

/** The live page: the navigation and the view that the address names. */
export function App() {
  const here = useStore(place)
  const known = useStore(session)
  useEffect(() => void loadSession().catch(() => undefined), [])
  const { title, view } = VIEWS[here.view] ?? (VIEWS['now'] as (typeof VIEWS)[string])
  useEffect(() => {
    document.title = `${title} · Answerback`
  }, [title])
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header>
      <h1>Answerback</h1>
      <nav aria-label="Views">
        ${Object.entries(VIEWS).map(
          ([name, { title }]) => html`<a href=${hrefOf(name)} aria-current=${name === here.view ? 'page' : undefined}>${title}</a>`,
        )}
      </nav>
      <span class="process">${known && `${known.process.host}, process ${known.process.pid}`}</span>
    </header>
    <main id="main" tabindex="-1"><${view} place=${here} /></main>
  `
}

function skip(event: Event): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}
