import { html } from 'htm/preact'
import { useEffect, useState } from 'preact/hooks'
import { caller, mayRead } from '../caller.ts'
import { duration, number, timeOfDay } from '../format.ts'
import { hrefOf } from '../router.ts'
import { isUnfinished, lacksOutcomes, look, lookAtAll, noteCallbacks, type Receipt, type Sent, sent } from '../sent.ts'
import { traceUrl } from '../session.ts'
import { useStore } from '../store.ts'
import { listen, type StreamState } from '../stream.ts'
import { ObjectChips } from './object-chips.ts'

const LOOK_MS = 500
/** A callback that is not finished after this time waits for something: then looking at it less often is enough. */
const SOON_MS = 15_000
const RARE_LOOK_MS = 3000
/** Callbacks whose objects are shown while they run: the newest ones. */
const LOOKED_AT = 3

/** The callbacks that the page sent, and what becomes of each. */
export function SentCallbacks() {
  const all = useStore(sent)
  const who = useStore(caller)
  const open = all.filter(one => isUnfinished(one) && mayRead(who, one.attempt.workspace))
  const stream = useFollowed(new Set(open.map(({ attempt }) => attempt.workspace)))
  useLooks()
  if (all.length === 0) return html`<p class="quiet">What you send appears here.</p>`
  return html`
    ${stream === 'lost' && html`<p class="warn" role="status">The stream is interrupted. It comes back by itself.</p>`}
    <p class="hidden" role="status">${all[0] && summaryOf(all[0])}</p>
    <ol class="sent">${all.map(one => html`<li key=${one.number}><${SentCallback} one=${one} /></li>`)}</ol>
  `
}

/** Follows the streams of these workspaces. @returns the state of the one that changed last */
function useFollowed(workspaces: ReadonlySet<string>): StreamState | undefined {
  const [state, setState] = useState<StreamState>()
  const names = [...workspaces].toSorted().join()
  useEffect(() => {
    const listener = {
      onCallbacks: noteCallbacks,
      onState: (now: StreamState) => {
        setState(now)
        // A callback may have finished before the stream began, or in a gap of it.
        if (now === 'live') void lookAtAll()
      },
      onStartOver: () => undefined,
    }
    const ends = names
      .split(',')
      .filter(Boolean)
      .map(name => listen(name, listener))
    return () => {
      for (const end of ends) end()
      setState(undefined)
    }
  }, [names])
  return state
}

/** Asks for the objects of the newest callbacks, one request after the other. A failure is not news: the stream and the notices tell it. */
function useLooks(): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>
    const again = async (): Promise<void> => {
      const due = [...sent.value.filter(isUnfinished).slice(0, LOOKED_AT), ...sent.value.filter(lacksOutcomes).slice(0, LOOKED_AT)]
      if (document.visibilityState === 'visible') for (const one of due) await look(one).catch(() => undefined)
      const isSoon = due.length === 0 || due.some(({ sentAt }) => Date.now() - sentAt < SOON_MS)
      timer = setTimeout(again, isSoon ? LOOK_MS : RARE_LOOK_MS)
    }
    timer = setTimeout(again, LOOK_MS)
    return () => clearTimeout(timer)
  }, [])
}

const STATES: Readonly<Record<string, readonly [mark: string, tone: string]>> = {
  pending: ['…', 'quiet'],
  running: ['▶', ''],
  paused: ['‖', 'warn'],
  completed: ['✓', 'ok'],
  failed: ['✕', 'bad'],
  cancelled: ['⊘', 'warn'],
}

function SentCallback({ one }: { one: Sent }) {
  const { attempt, receipt, callback, problem, sentAt, tookMs } = one
  const state = callback?.state ?? receipt?.state
  const [mark, tone] = STATES[state ?? ''] ?? ['…', 'quiet']
  const trace = traceUrl(callback?.trace_id)
  return html`
    <div class="sent-head">
      <span>${timeOfDay(sentAt)}, to ${attempt.workspace}</span>
      ${problem && html`<${Refused} problem=${problem} />`}
      ${
        receipt &&
        html`<b class=${tone}><span aria-hidden="true">${mark}</span> ${state}</b>
        <a class="id" href=${hrefOf('callbacks', receipt.id, { workspace: attempt.workspace })}>${receipt.id}</a>`
      }
      ${trace && html`<a href=${trace} target="_blank" rel="noreferrer">Trace</a>`}
    </div>
    ${one.isGone && html`<p class="quiet">The service has deleted it since.</p>`}
    ${!receipt && !problem && html`<p class="quiet">Waiting for the answer.</p>`}
    ${receipt && html`<p class="quiet">${receiptText(one, tookMs ?? 0)}</p>`}
    ${receipt && html`<${ObjectChips} one=${one} />`}
  `
}

function Refused({ problem: { code, text } }: { problem: NonNullable<Sent['problem']> }) {
  if (code === 'unreachable') return html`<span class="bad">${text} Nobody knows whether it took the callback.</span>`
  return html`<span class="bad">Refused: <a href="v1/errors/${code}" target="_blank" rel="noreferrer">${code}</a>. ${text}</span>`
}

const KEPT: Readonly<Record<NonNullable<Receipt['durability']>, string>> = {
  database: 'it is in the database and cannot be lost.',
  spooled: 'it is in the spool on the disk of this replica and cannot be lost.',
  none: 'the service has it, but keeps nothing of what it accepts.',
}

/** What the service said, in words. */
function receiptText({ receipt, callback }: Sent, tookMs: number): string {
  const took = `in ${duration(tookMs)}`
  const finished = callback?.finished_at
    ? `Finished after ${duration(Date.parse(callback.finished_at) - Date.parse(callback.received_at))}.`
    : ''
  if (!receipt?.durability) return `200 ${took}: the service waited for the result. ${finished}`
  const backlog = backlogText(receipt.backlog)
  const eta = typeof receipt.eta_ms === 'number' ? ` It was expected to finish in ${duration(receipt.eta_ms)}.` : ''
  return `202 ${took}: ${KEPT[receipt.durability]}${backlog}${eta} ${finished}`
}

/** For screen readers, which do not see the list change. */
function summaryOf({ problem, receipt, callback }: Sent): string {
  if (problem) return `Refused: ${problem.text}`
  return receipt ? `The last callback is ${callback?.state ?? receipt.state}.` : ''
}

function backlogText(backlog: number | undefined): string {
  if (backlog === undefined) return ''
  if (backlog === 0) return ' No callback was before it.'
  return backlog === 1 ? ' One callback was before it.' : ` ${number(backlog)} callbacks were before it.`
}
