import { html } from 'htm/preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { readAgents, type SeenAgents } from '../agent-list.ts'
import { AgentRates } from '../agent-rates.ts'
import { type AgentState, stateOf, statesText } from '../agents.ts'
import { ask } from '../api.ts'
import { caller, mayManage as mayManageIn } from '../caller.ts'
import { Followed } from '../followed.ts'
import { age, number } from '../format.ts'
import { AgentRows } from '../parts/agent-rows.ts'
import { AgentsStart } from '../parts/agents-start.ts'
import { Announcement, announceNothing } from '../parts/announcement.ts'
import { FetcherNote } from '../parts/fetcher-note.ts'
import { fieldText } from '../parts/field-text.ts'
import { NewAgent } from '../parts/new-agent.ts'
import { UnsuitedNote } from '../parts/unsuited.ts'
import { useNow } from '../parts/use-now.ts'
import { useShownAgain } from '../parts/use-shown-again.ts'
import { useWorkspaceNames } from '../parts/use-workspace-names.ts'
import { hrefOf, type Place } from '../router.ts'
import { accessKey } from '../session.ts'
import { useStore } from '../store.ts'
import { workspaceOfKey } from '../workspaces.ts'
import { AgentView } from './agent.ts'

const PAGE = 100
/** A workspace has at most as many agents. */
const MAX_ROWS = 1000

/** The agents of a workspace, or one of them. */
export function AgentsView({ place: { id, query } }: { place: Place }) {
  const key = useStore(accessKey)
  const workspace = query.get('workspace') || workspaceOfKey(key)
  const mayManage = mayManageIn(useStore(caller), workspace)
  useEffect(() => announceNothing, [id, workspace])
  return html`
    <${Announcement} />
    ${
      id === undefined
        ? html`<${AgentList} key=${`${workspace} ${key}`} workspace=${workspace} mayManage=${mayManage} />`
        : html`<${AgentView} key=${`${workspace}/${id} ${key}`} id=${id} workspace=${workspace} mayManage=${mayManage} />`
    }
  `
}

function AgentList({ workspace, mayManage }: { workspace: string; mayManage: boolean }) {
  const [limit, setLimit] = useState(PAGE)
  const rates = useMemo(() => new AgentRates(), [])
  const followed = useMemo(() => new Followed(() => readAgents(ask, { workspace, limit, rates })), [limit])
  useEffect(() => {
    followed.start()
    return () => followed.stop()
  }, [followed])
  useShownAgain(() => followed.refresh())
  const { value, problem, isMissing, at } = useStore(followed.view)
  const now = useNow()
  const refresh = (): void => followed.refresh()
  return html`
    <h2>Agents</h2>
    <div class="filter"><${WorkspaceField} workspace=${workspace} /></div>
    <div role="status">
      ${problem !== undefined && html`<p class="bad">${isMissing ? 'This key may not see the agents of this workspace, or there is no such workspace.' : problem}</p>`}
    </div>
    ${problem !== undefined && value && html`<p class="quiet">What you see is ${age(now - at)} old.</p>`}
    ${value === undefined && problem === undefined && html`<p class="quiet">Reading…</p>`}
    ${value?.fetcher && html`<${FetcherNote} workspace=${workspace} fetcher=${value.fetcher} agents=${value.agents} hasMore=${value.hasMore} mayManage=${mayManage} onChanged=${refresh} />`}
    ${value?.fetcher === 'agents' && html`<${UnsuitedNote} workspace=${workspace} />`}
    ${value && value.agents.length === 0 && html`<${AgentsStart} mayManage=${mayManage} />`}
    ${value && value.agents.length > 0 && html`<${Listed} value=${value} workspace=${workspace} rates=${rates} now=${problem === undefined ? now : at} />`}
    ${value?.hasMore && limit < MAX_ROWS && html`<p><button type="button" onClick=${() => setLimit(MAX_ROWS)}>Show all</button></p>`}
    ${value && mayManage && html`<${NewAgent} workspace=${workspace} isOpen=${value.agents.length === 0} onCreated=${refresh} />`}
    ${value && !mayManage && html`<p class="quiet">Your key may look at the agents of this workspace, but not change them.</p>`}
  `
}

interface ListedProps {
  readonly value: SeenAgents
  readonly workspace: string
  readonly rates: AgentRates
  readonly now: number
}

function Listed({ value, workspace, rates, now }: ListedProps) {
  const [hasArchived, showArchived] = useState(false)
  const [isSilentOnly, showSilentOnly] = useState(false)
  const states = value.agents.map(stateOf)
  const hasSome = (state: AgentState): boolean => states.includes(state)
  const shown = value.agents.filter((_, i) => (isSilentOnly ? states[i] === 'silent' : hasArchived || states[i] !== 'archived'))
  return html`
    <p class="row">
      <span>${value.hasMore ? `The first ${number(value.agents.length)} agents: ` : ''}${statesText(value.agents)}.</span>
      ${(isSilentOnly || hasSome('silent')) && html`<label><input type="checkbox" checked=${isSilentOnly} onChange=${() => showSilentOnly(!isSilentOnly)} /> Only silent</label>`}
      ${hasSome('archived') && html`<label><input type="checkbox" checked=${hasArchived} onChange=${() => showArchived(!hasArchived)} /> Show archived</label>`}
    </p>
    ${shown.length > 0 && html`<${AgentRows} agents=${shown} workspace=${workspace} rates=${rates} now=${now} />`}
  `
}

function WorkspaceField({ workspace }: { workspace: string }) {
  const names = useWorkspaceNames(workspace)
  const choose = (event: Event): void => {
    location.hash = hrefOf('agents', undefined, { workspace: fieldText(event) })
  }
  return html`<label>Workspace
    <select value=${workspace} onChange=${choose}>${names.map(name => html`<option key=${name} value=${name}>${name}</option>`)}</select>
  </label>`
}
