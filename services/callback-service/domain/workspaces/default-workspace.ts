import { DEFAULT_WORKSPACE, NO_LIMITS, type Workspace } from './workspace.ts'

/** The workspace `default` as the migration makes it. The service knows it before it has read the database. */
export const BUILT_IN_DEFAULT: Workspace = {
  name: DEFAULT_WORKSPACE,
  description: '',
  clientServiceUrl: null,
  ttlSeconds: null,
  keepOffline: null,
  signingSecrets: [],
  isPaused: false,
  weight: 1,
  fetcher: 'service',
  agentLabels: [],
  limits: NO_LIMITS,
  createdAt: new Date(0),
  archivedAt: null,
}
