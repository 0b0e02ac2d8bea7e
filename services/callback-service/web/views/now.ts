import { html } from 'htm/preact'
import { activity, rows } from '../activity.ts'
import { figuresOfAll, figuresOfReplica } from '../figures.ts'
import { timeOfDay } from '../format.ts'
import { Figures } from '../parts/figures.ts'
import { Lights } from '../parts/lights.ts'
import { Plot } from '../parts/plot.ts'
import { Trouble } from '../parts/trouble.ts'
import { UnsuitedCallbacks } from '../parts/unsuited.ts'
import { PLOTS } from '../plots.ts'
import type { Place } from '../router.ts'
import { useStore } from '../store.ts'

/** Whether callbacks flow: lights, figures, and plots of the last 15 minutes. */
export function NowView(_: { place: Place }) {
  return html`<${Present} />
    <section aria-labelledby="plots">
      <h3 id="plots">Last 15 minutes</h3>
      <div class="plots">${PLOTS.map(facts => html`<${Plot} key=${facts.title} facts=${facts} />`)}</div>
    </section>`
}

/** What changes every second. The plots draw themselves. */
function Present() {
  const answer = useStore(activity)
  if (!answer) return html`<h2>Now</h2><p class="quiet">The service has not answered yet.</p>`
  const { lights, now } = answer
  return html`<h2>Now <small class="quiet">${timeOfDay(now.at)}</small></h2>
    <${Lights} lights=${lights} />
    <div class="groups">
      <${Figures} id="all" title="All replicas" figures=${figuresOfAll(rows, answer)} />
      <${Figures} id="replica" title="This replica" figures=${figuresOfReplica(rows, answer)} />
    </div>
    <${Trouble} ...${now} />
    <${UnsuitedCallbacks} unsuited=${now.unsuited} />`
}
