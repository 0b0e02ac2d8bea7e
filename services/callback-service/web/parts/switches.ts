import { html } from 'htm/preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ask } from '../api.ts'

interface Switches {
  readonly faults: Readonly<Record<string, number | boolean | string>>
  readonly latency: { readonly minMs: number; readonly maxMs: number }
}

interface Preset {
  readonly name: string
  readonly hint: string
  readonly changes: object
}

/** The shares of answers that are faults, and what each does. */
const SHARES: readonly (readonly [name: string, text: string])[] = [
  ['errorShare', 'are a 500'],
  ['tooManyRequestsShare', 'are a 429 with Retry-After'],
  ['notFoundShare', 'are a 404'],
  ['hangShare', 'never arrive'],
  ['dripShare', 'drip, a byte at a time'],
  ['garbageShare', 'are not JSON'],
  ['wrongIdShare', 'describe another object'],
  ['resetShare', 'reset the connection'],
]

const HEALTHY = {
  faults: { ...Object.fromEntries(SHARES.map(([name]) => [name, 0])), down: false, objectIds: '' },
  latency: { minMs: null, maxMs: null },
}

function broken(faults: object, latency: object = {}): object {
  return { faults: { ...HEALTHY.faults, ...faults }, latency: { ...HEALTHY.latency, ...latency } }
}

const PRESETS: readonly Preset[] = [
  { name: 'Down', hint: 'Callbacks wait, the breaker opens, nothing is lost. All go on when it is back.', changes: broken({ down: true }) },
  {
    name: '30 % errors',
    hint: 'Fetches are repeated. A callback whose objects keep failing goes back to the inbox.',
    changes: broken({ errorShare: 0.3 }),
  },
  {
    name: 'Slow',
    hint: 'Fetches in flight and the backlog grow, and callbacks take longer. The 202 stays as fast as before.',
    changes: broken({}, { minMs: 3000, maxMs: 5500 }),
  },
  {
    name: 'Hang',
    hint: 'Half of the fetches end by their timeout, after 6 seconds. Then they are repeated.',
    changes: broken({ hangShare: 0.5 }),
  },
]

const PATH = 'client-service/config'

/** The switches that break the client service, and heal it. */
export function ClientServiceSwitches() {
  const [switches, setSwitches] = useState<Switches>()
  const [news, setNews] = useState<{ readonly text: string; readonly isBad: boolean }>()
  const last = useRef(Promise.resolve())
  // One after the other: of two requests at a time, the older one may be answered last.
  const use = (changes: object | undefined, hint: string): Promise<void> => {
    last.current = last.current.then(() => send(changes, hint))
    return last.current
  }
  const send = async (changes: object | undefined, hint: string): Promise<void> => {
    try {
      setSwitches(await ask<Switches>(PATH, changes ? { method: 'PATCH', body: changes } : {}))
      setNews({ text: hint, isBad: false })
    } catch (error) {
      setNews({ text: (error as Error).message, isBad: true })
    }
  }
  useEffect(() => void use(undefined, ''), [])
  return html`
    <p class="presets">
      <button type="button" onClick=${() => use(HEALTHY, 'The client service is well again. What waits goes on.')}>Healthy</button>
      ${PRESETS.map(({ name, hint, changes }) => html`<button type="button" onClick=${() => use(changes, hint)}>${name}</button>`)}
      <button type="button" onClick=${() => use(undefined, '')}>Read again</button>
    </p>
    <p role="status" class=${news?.isBad ? 'bad' : ''}>${news?.text}</p>
    ${switches ? html`<${SwitchTable} switches=${switches} use=${use} />` : !news && html`<p class="quiet">Asking the client service.</p>`}
  `
}

/** Each switch with its present value. A change counts at once. */
function SwitchTable({ switches, use }: { switches: Switches; use: (changes: object, hint: string) => Promise<void> }) {
  const { faults, latency } = switches
  const done = 'The client service has changed.'
  const textOf = (event: Event): string => (event.currentTarget as HTMLInputElement).value
  const isWell = isHealthy(switches)
  return html`
    <p><b class=${isWell ? 'ok' : 'bad'}><span aria-hidden="true">${isWell ? '✓' : '✕'}</span> ${healthOf(switches)}</b></p>
    <div class="switches">
      <label><input type="checkbox" checked=${Boolean(faults['down'])} onChange=${(event: Event) => use({ faults: { down: (event.currentTarget as HTMLInputElement).checked } }, done)} /> Down: every connection is reset</label>
      ${SHARES.map(
        ([name, text]) => html`<label><input type="number" min="0" max="100" value=${Math.round(Number(faults[name]) * 100)}
          onChange=${(event: Event) => use({ faults: { [name]: Number(textOf(event)) / 100 } }, done)} /> % of the answers ${text}</label>`,
      )}
      <label>Only these objects <input class="ids" placeholder="all, or such as 7,100..130" value=${String(faults['objectIds'])} onChange=${(event: Event) => use({ faults: { objectIds: textOf(event).trim() } }, done)} /></label>
      <label>An answer takes at least <input type="number" min="0" value=${latency.minMs} onChange=${(event: Event) => use({ latency: { minMs: Number(textOf(event)) } }, done)} /> ms</label>
      <label>An answer takes at most <input type="number" min="0" value=${latency.maxMs} onChange=${(event: Event) => use({ latency: { maxMs: Number(textOf(event)) } }, done)} /> ms</label>
    </div>
  `
}

/** From this time on, an answer counts as slow. */
const SLOW_MS = 2500

function isHealthy({ faults, latency }: Switches): boolean {
  return !faults['down'] && latency.minMs < SLOW_MS && SHARES.every(([name]) => faults[name] === 0)
}

function healthOf(switches: Switches): string {
  if (isHealthy(switches)) return 'No fault is on.'
  if (switches.faults['down']) return 'The client service is down.'
  return switches.latency.minMs < SLOW_MS ? 'Faults are on.' : 'The client service is slow.'
}
