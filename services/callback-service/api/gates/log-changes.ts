import type { Gate } from '#foundation/http/route.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { context } from '#foundation/telemetry/spans.ts'
import { callerOf } from './caller-of.ts'

/**
 * Makes the gate that logs who changed something. It comes after `authorize`. The lines of the change itself say what was changed, under the same
 * request_id. A change that was refused has a line of its own; one that failed on our side was perhaps made.
 */
export function logChanges(logger: Logger): Gate {
  return (request, response, { method, access }) => {
    if (method === 'GET' || (access !== 'manage' && access !== 'superuser')) return
    const { role, workspace, key } = callerOf(request)
    const active = context.active()
    response.once('close', () => {
      // If the caller did not wait for the answer, the change was perhaps made.
      const status = response.writableFinished ? response.statusCode : undefined
      if (status !== undefined && status >= 400 && status < 500) return
      const fields = { method, path: request.path, workspace: workspace.name, role, key_id: key?.id, status }
      context.with(active, () => logger.info(fields, 'request to change something answered'))
    })
  }
}
