import { html } from 'htm/preact'
import { useState } from 'preact/hooks'
import { ask } from '../api.ts'
import type { OperationFeed } from '../operation-feed.ts'
import { isUnderWay, type Operation, operationText, progressText } from '../operations.ts'
import { refusalText } from '../steering.ts'
import { announce } from './announcement.ts'
import { Moment } from './callback-marks.ts'
import { useNow } from './use-now.ts'

interface OperationList {
  readonly operations: readonly Operation[]
  readonly workspace: string
  readonly feed: OperationFeed
}

/** The operations of a workspace, with their progress. */
export function OperationList({ operations, workspace, feed }: OperationList) {
  const now = useNow()
  if (operations.length === 0) return html`<p class="quiet">There are none.</p>`
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of operations">
    <table>
      <caption class="hidden">Operations of the workspace, newest first</caption>
      <thead><tr><th scope="col">Operation</th><th scope="col">State</th><th scope="col">Progress</th><th scope="col">Started</th><td></td></tr></thead>
      <tbody>
        ${operations.map(
          operation => html`<tr key=${operation.id}>
            <td>${operationText(operation)}</td>
            <td>${operation.dry_run && operation.state === 'completed' ? 'counted' : operation.state}</td>
            <td><${Progress} operation=${operation} /></td>
            <td class="nowrap"><${Moment} at=${operation.created_at} now=${now} /></td>
            <td><${AbortButton} operation=${operation} workspace=${workspace} feed=${feed} /></td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`
}

export function Progress({ operation }: { operation: Operation }) {
  const { state, matched, done } = operation
  return html`${
    state === 'running' &&
    html`<progress aria-label="Callbacks changed" value=${Math.min(done, matched)} max=${Math.max(1, matched)}></progress> `
  }${progressText(operation)}`
}

function AbortButton({ operation, workspace, feed }: { operation: Operation; workspace: string; feed: OperationFeed }) {
  const [isBusy, setBusy] = useState(false)
  if (!isUnderWay(operation)) return null
  const abort = async (): Promise<void> => {
    setBusy(true)
    try {
      await ask(`v1/operations/${operation.id}?workspace_id=${encodeURIComponent(workspace)}`, { method: 'DELETE' })
      announce('The operation is aborted. What it has changed stays changed.')
    } catch (error) {
      announce(refusalText(error as Error), true)
    }
    setBusy(false)
    feed.refresh()
  }
  return html`<button type="button" aria-disabled=${isBusy} onClick=${() => !isBusy && abort()}>Abort</button>`
}
