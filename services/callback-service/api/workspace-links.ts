import type { Request } from 'express'
import type { Caller } from '../domain/workspaces/caller.ts'
import { DEFAULT_WORKSPACE } from '../domain/workspaces/workspace.ts'
import { callerOf } from './gates/caller-of.ts'

/** What a caller must add to a path to reach the same workspace again. A key leads to its own workspace by itself. */
export function workspaceQuery({ role, workspace }: Caller): string {
  return role === 'superuser' ? queryOf(workspace.name) : ''
}

/** What a superuser must add to a path to reach a workspace. */
export function queryOf(workspace: string): string {
  return workspace === DEFAULT_WORKSPACE ? '' : `?workspace_id=${workspace}`
}

/** The workspace as a filter that the links of a list keep: if the caller chose it in the URL, or needs it to come back. */
export function workspaceFilter(request: Request): { readonly workspace_id: string | undefined } {
  const caller = callerOf(request)
  const isChosen = request.query['workspace_id'] !== undefined || workspaceQuery(caller) !== ''
  return { workspace_id: isChosen ? caller.workspace.name : undefined }
}
