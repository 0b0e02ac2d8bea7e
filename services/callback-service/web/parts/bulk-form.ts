import { html } from 'htm/preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ask, Problem, Unreachable } from '../api.ts'
import type { CallbackFilter } from '../callback-filter.ts'
import { number } from '../format.ts'
import { bodyOf, isUnderWay, type Operation, type OperationForm, operationText, progressText, STATES_OF } from '../operations.ts'
import { refusalText } from '../steering.ts'
import { announce } from './announcement.ts'
import { BulkFields } from './bulk-fields.ts'

/** What was counted for the fields as they are. */
interface Counted {
  readonly operation: Operation
  /** Makes sure that the form starts one operation at most, also if it is sent twice. */
  readonly key: string
}

/** Starts a change of all callbacks that match. It counts them first, and says what will change. */
export function BulkForm({ filter, onStarted }: { filter: CallbackFilter; onStarted: (operation: Operation) => void }) {
  const [form, setForm] = useState(() => formOf(filter))
  const [counted, setCounted] = useState<Counted | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const isSending = useRef(false)
  const [isBusy, setBusy] = useState(false)
  const path = `v1/operations?workspace_id=${encodeURIComponent(filter.workspace)}`
  const count = useRef(0)
  useEffect(() => {
    change(formOf(filter))
  }, [filter.states.join(), filter.objectId])
  useEffect(() => stopCounting, [])

  function stopCounting(): void {
    count.current += 1
  }

  function change(changed: OperationForm): void {
    // A count that is under way is of no use any more.
    stopCounting()
    setForm(changed)
    setCounted(undefined)
    setProblem('')
  }
  async function once(send: () => Promise<void>): Promise<void> {
    if (isSending.current) return
    isSending.current = true
    setBusy(true)
    setProblem('')
    await send().catch((error: Error) => setProblem(problemText(error)))
    isSending.current = false
    setBusy(false)
  }
  const post = (isDryRun: boolean, headers: Record<string, string>) =>
    ask<Operation>(path, { method: 'POST', body: bodyOf(form, isDryRun), headers })
  const dryRun = async (): Promise<void> => {
    stopCounting()
    const own = count.current
    const key = randomKey()
    let operation = await post(true, {})
    for (;;) {
      if (own !== count.current) return
      setCounted({ operation, key })
      if (!isUnderWay(operation)) return
      await new Promise(resolve => setTimeout(resolve, 500))
      operation = await ask<Operation>(`v1/operations/${operation.id}?workspace_id=${encodeURIComponent(filter.workspace)}`)
    }
  }
  const start = async ({ key }: Counted): Promise<void> => {
    onStarted(await post(false, { 'Idempotency-Key': key }))
    announce('The operation has started. Its progress is in the list of operations.')
    setCounted(undefined)
  }
  const submit = (event: Event): void => {
    event.preventDefault()
    void once(dryRun)
  }
  return html`<form class="bulk-form" onSubmit=${submit}>
    <${BulkFields} form=${form} onChange=${change} />
    <div class="row"><button type="submit" aria-disabled=${isBusy}>Count what matches</button></div>
    <div role="status">
      ${problem && html`<p class="bad">${problem}</p>`}
      ${counted && html`<p>${isUnderWay(counted.operation) ? progressText(counted.operation) : matchText(counted.operation)}</p>`}
    </div>
    ${
      counted &&
      counted.operation.state === 'completed' &&
      counted.operation.matched > 0 &&
      html`<div class="row">
        <button type="button" class="strong" aria-disabled=${isBusy} onClick=${() => once(() => start(counted))}>Start: change ${number(counted.operation.matched)}</button>
      </div>`
    }
  </form>`
}

function problemText(error: Error): string {
  if (error instanceof Unreachable) return `${error.message} Send the form again: it starts one operation at most.`
  return error instanceof Problem ? refusalText(error) : error.message
}

function matchText(operation: Operation): string {
  const { matched, state } = operation
  if (state === 'aborted') return `${progressText(operation)}, by somebody else. Count again: more may match.`
  if (matched === 0) return 'No callback matches. Nothing would change.'
  return `${number(matched)} ${matched === 1 ? 'matches' : 'match'} now. It will do this: ${operationText(operation)}.`
}

/** The form for what the table shows, as far as an operation can have that filter. */
function formOf({ states, objectId }: CallbackFilter): OperationForm {
  const [state = 'failed'] = states
  const kind = state === 'paused' ? 'resume' : state === 'pending' || state === 'running' ? 'pause' : 'retry'
  const own = states.length <= 1 && STATES_OF[kind].includes(state) ? state : ''
  return { kind, state: own, reason: '', objectId, receivedAfter: '', receivedBefore: '', objects: 'missing', rate: '', priority: '' }
}

/** `crypto.randomUUID` exists only where the address is that of this machine, or is encrypted. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('')
}
