import { html } from 'htm/preact'
import { useState } from 'preact/hooks'
import { fetcherRequest } from '../agent-requests.ts'
import type { Agent } from '../agents.ts'
import { Confirm } from './confirm.ts'
import { useSending } from './use-sending.ts'

type Fetcher = 'service' | 'agents'

interface FetcherNote {
  readonly workspace: string
  readonly fetcher: Fetcher
  readonly agents: readonly Agent[]
  /** There are more agents than these. */
  readonly hasMore: boolean
  readonly mayManage: boolean
  readonly onChanged: () => void
}

const CONSEQUENCES: Readonly<Record<Fetcher, string>> = {
  agents: 'The service then asks the client service of this workspace for nothing more. Callbacks wait until an agent takes them.',
  service: 'The service then asks the client service of this workspace itself. Agents get no new callbacks, and may finish what they hold.',
}

/** Says who fetches the objects of a workspace, and what is wrong with that. An operator can change it. */
export function FetcherNote({ workspace, fetcher, agents, hasMore, mayManage, onChanged }: FetcherNote) {
  const [isAsking, setAsking] = useState(false)
  const { isBusy, send } = useSending(onChanged)
  const other = fetcher === 'agents' ? 'service' : 'agents'
  const verb = `Let ${other === 'agents' ? 'agents' : 'the service'} fetch`
  const answered = (isConfirmed: boolean): void => {
    setAsking(false)
    if (isConfirmed)
      void send(fetcherRequest(workspace, other), `From now on, ${other === 'agents' ? 'agents fetch' : 'the service fetches'}.`)
  }
  // Without an agent, nobody would fetch.
  const mayChange = mayManage && (fetcher === 'agents' || agents.length > 0)
  if (fetcher === 'service' && agents.length === 0) return null
  const { text, isBad } = noteOf(fetcher, agents, hasMore)
  return html`<div class=${isBad ? 'notice warn' : 'row'}>
    <span>${isBad && html`<span aria-hidden="true">▲ </span>`}${text}</span>
    ${mayChange && html` <button type="button" aria-disabled=${isBusy} onClick=${() => !isBusy && setAsking(true)}>${verb}…</button>`}
    ${isAsking && html`<${Confirm} title="${verb} for ${workspace}?" text=${CONSEQUENCES[other]} verb=${verb} onAnswer=${answered} />`}
  </div>`
}

function noteOf(fetcher: Fetcher, agents: readonly Agent[], hasMore: boolean): { readonly text: string; readonly isBad: boolean } {
  if (fetcher === 'service')
    return { text: 'The service itself fetches the objects of this workspace, so its agents get no callbacks.', isBad: true }
  if (hasMore || agents.some(({ alive, archived_at: archivedAt }) => alive && archivedAt === null))
    return { text: 'Agents fetch the objects of this workspace.', isBad: false }
  return { text: 'Agents fetch the objects of this workspace, but none of them is alive. Its callbacks wait.', isBad: true }
}
