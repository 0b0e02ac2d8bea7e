import { AccessChanges } from '../../../adapters/postgres/access-changes.ts'
import { AccessKeyStore } from '../../../adapters/postgres/access-key-store.ts'
import type { Database } from '../../../adapters/postgres/database.ts'
import { WorkspaceDirectory } from '../../../adapters/postgres/workspace-directory.ts'
import { WorkspaceStore } from '../../../adapters/postgres/workspace-store.ts'
import { logger } from './test-storage.ts'

/** Makes what one replica has to read and change workspaces and keys. The directory is not started. */
export function newWorkspaces(database: Database, options: { max?: number; maxClientServices?: number; snapshotPath?: string } = {}) {
  const { prisma } = database
  const changes = new AccessChanges(prisma)
  const { max = 1000, maxClientServices = 100, snapshotPath } = options
  return {
    workspaces: new WorkspaceStore({ changes, prisma, maxWorkspaces: max, maxClientServices }),
    keys: new AccessKeyStore({ changes, work: prisma, read: prisma }),
    directory: new WorkspaceDirectory({ prisma, snapshotPath, logger }),
  }
}

export const SEND_KEY = { role: 'send', name: '', expiresAt: null, agentId: null } as const
