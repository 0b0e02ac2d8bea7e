import { html } from 'htm/preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Light } from '../activity-types.ts'

const NAMES: Readonly<Record<string, string>> = {
  postgres: 'Postgres',
  client_service: 'Client service',
  agents: 'Agents',
  processing: 'Processing',
  spool: 'Spool',
  zipkin: 'Zipkin',
  process: 'This process',
}

/** A state is told by symbol, word and colour. */
const STATES = {
  ok: { symbol: '✓', word: 'fine' },
  warn: { symbol: '!', word: 'attention' },
  bad: { symbol: '✕', word: 'bad' },
  unknown: { symbol: '–', word: 'not in use' },
} as const

/** What the service needs, and how each part is. Screen readers say it when one changes. */
export function Lights({ lights }: { lights: readonly Light[] }) {
  return html`<section aria-labelledby="lights">
    <h3 id="lights" class="hidden">Lights</h3>
    <ul class="lights">
      ${lights.map(({ name, state, text }) => {
        const { symbol, word } = STATES[state]
        return html`<li key=${name} class=${`light ${state}`}>
          <span class="symbol" aria-hidden="true">${symbol}</span>
          <p>
            <strong>${nameOf(name)}: ${word}.</strong> <span>${text}</span>
          </p>
        </li>`
      })}
    </ul>
    <${Changes} lights=${lights} />
  </section>`
}

function Changes({ lights }: { lights: readonly Light[] }) {
  const [news, setNews] = useState('')
  const states = lights.map(({ name, state }) => `${name}=${state}`).join()
  const before = useRef(lights)
  useEffect(() => {
    const changed = lights.filter(({ name, state }) => before.current.some(light => light.name === name && light.state !== state))
    before.current = lights
    if (changed.length > 0) setNews(changed.map(({ name, state, text }) => `${nameOf(name)}: ${STATES[state].word}. ${text}`).join(' '))
  }, [states])
  return html`<p class="hidden" role="status">${news}</p>`
}

function nameOf(name: string): string {
  return NAMES[name] ?? name.replaceAll('_', ' ')
}
