import type { Directory } from '../../services/callback-service/api/gates/authorize.ts'
import { BUILT_IN_DEFAULT } from '../../services/callback-service/domain/workspaces/default-workspace.ts'
import { DEFAULT_WORKSPACE, type Workspace } from '../../services/callback-service/domain/workspaces/workspace.ts'

/** Knows `default` alone, and no key. */
export const onlyDefault: Directory & { readonly all: readonly Workspace[] } = {
  find: name => (name === DEFAULT_WORKSPACE ? BUILT_IN_DEFAULT : undefined),
  keyWithHash: () => undefined,
  refresh: async () => undefined,
  onChange: () => undefined,
  used: () => undefined,
  all: [BUILT_IN_DEFAULT],
}
