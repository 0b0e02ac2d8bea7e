/** A change that is valid in itself contradicts the state of the workspaces. Nothing was changed. `code` is stable. */
export class WorkspaceConflictError extends Error {
  readonly code: 'workspace_exists' | 'too_many_workspaces' | 'too_many_client_services' | 'too_many_keys' | 'default_workspace'

  constructor(code: WorkspaceConflictError['code'], detail: string) {
    super(detail)
    this.code = code
  }
}

/** Maximum number of keys of one workspace, besides those of its agents. */
export const MAX_KEYS = 100
