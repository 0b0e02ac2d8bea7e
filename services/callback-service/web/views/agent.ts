import { html } from 'htm/preact'
import { useEffect, useMemo } from 'preact/hooks'
import { readAgent } from '../agent-list.ts'
import { AgentRates } from '../agent-rates.ts'
import { ask } from '../api.ts'
import { Followed } from '../followed.ts'
import { age } from '../format.ts'
import { AgentActions } from '../parts/agent-actions.ts'
import { AgentCallbacks } from '../parts/agent-callbacks.ts'
import { AgentFacts } from '../parts/agent-facts.ts'
import { useNow } from '../parts/use-now.ts'
import { useShownAgain } from '../parts/use-shown-again.ts'
import { hrefOf } from '../router.ts'
import { useStore } from '../store.ts'

/** One agent: how it is, what it holds, and what an operator can change. */
export function AgentView({ id, workspace, mayManage }: { id: string; workspace: string; mayManage: boolean }) {
  const rates = useMemo(() => new AgentRates(), [])
  const followed = useMemo(() => new Followed(() => readAgent(ask, { id, workspace, rates })), [])
  useEffect(() => {
    followed.start()
    return () => followed.stop()
  }, [followed])
  useShownAgain(() => followed.refresh())
  const { value, problem, isMissing, at } = useStore(followed.view)
  const current = useNow()
  const now = problem === undefined ? current : at
  const refresh = (): void => followed.refresh()
  return html`
    <p><a href=${hrefOf('agents', undefined, { workspace })}>← Agents</a></p>
    <h2>Agent ${value?.agent.name}</h2>
    <div role="status">
      ${problem !== undefined && html`<p class="bad">${isMissing ? 'This workspace has no such agent, or this key may not see it.' : problem}</p>`}
    </div>
    ${problem !== undefined && value && html`<p class="quiet">What you see is ${age(current - at)} old.</p>`}
    ${value === undefined && problem === undefined && html`<p class="quiet">Reading…</p>`}
    ${
      value &&
      html`
        <${AgentFacts} agent=${value.agent} rate=${rates.of(id)} now=${now} />
        ${mayManage && html`<${AgentActions} agent=${value.agent} onChanged=${refresh} />`}
        <${AgentCallbacks} seen=${value} mayManage=${mayManage} now=${now} onChanged=${refresh} />
        ${!mayManage && html`<p class="quiet">Your key may look at this agent, but not change it.</p>`}
      `
    }
  `
}
