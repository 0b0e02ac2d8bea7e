import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { AccessChanges } from '../adapters/postgres/access-changes.ts'
import { AccessKeyStore } from '../adapters/postgres/access-key-store.ts'
import type { Database } from '../adapters/postgres/database.ts'
import { WorkspaceDirectory } from '../adapters/postgres/workspace-directory.ts'
import { WorkspaceStore } from '../adapters/postgres/workspace-store.ts'
import type { AccessKeys } from '../api/workspaces/key-routes.ts'
import type { Workspaces } from '../api/workspaces/workspace-routes.ts'
import { type Config, spoolPathOf } from '../config.ts'
import { keyUses } from '../workers/key-uses.ts'
import { type ChangeAccess, changingAccess } from './access-changes.ts'

/** The workspaces and keys of this replica, and the parts that keep them up to date. */
export interface WorkspaceRooms {
  readonly directory: WorkspaceDirectory
  /** What makes changes of workspaces, keys and agents one after the other, and lets this replica know them at once. */
  readonly changes: AccessChanges
  readonly changing: ChangeAccess
  readonly workspaces: Workspaces
  readonly keys: AccessKeys
  readonly parts: readonly Part[]
}

export function workspaceRooms(options: {
  readonly config: Config
  readonly work: Database
  readonly read: Database
  /** Runs a read, unless too many are under way. */
  readonly limited: <T>(work: () => Promise<T>) => Promise<T>
  readonly logger: Logger
}): WorkspaceRooms {
  const { config, work, read, limited, logger } = options
  const spoolPath = spoolPathOf(config)
  const snapshotPath = spoolPath === '' ? undefined : `${spoolPath}.access.json`
  const directory = new WorkspaceDirectory({ prisma: work.prisma, snapshotPath, logger })
  const changes = new AccessChanges(work.prisma)
  const { max: maxWorkspaces, maxClientServices } = config.workspaces
  const workspaces = new WorkspaceStore({ changes, prisma: read.prisma, maxWorkspaces, maxClientServices })
  const keys = new AccessKeyStore({ changes, work: work.prisma, read: read.prisma })
  const changing = changingAccess(directory, logger)

  return {
    directory,
    changes,
    changing,
    workspaces: {
      find: name => limited(() => workspaces.find(name)),
      list: page => limited(() => workspaces.list(page)),
      create: workspace =>
        changing(
          'workspace created',
          () => ({ workspace: workspace.name }),
          () => workspaces.create(workspace),
        ),
      change: (workspace, members) =>
        changing(
          'workspace changed',
          () => ({ workspace, members: Object.keys(members) }),
          () => workspaces.change(workspace, members),
        ),
      archive: workspace =>
        changing(
          'workspace archived',
          () => ({ workspace }),
          () => workspaces.archive(workspace),
        ),
      restore: workspace =>
        changing(
          'workspace restored',
          () => ({ workspace }),
          () => workspaces.restore(workspace),
        ),
    },
    keys: {
      create: (workspace, key) =>
        changing(
          'key created',
          made => ({ workspace, key_id: made?.listed.id, role: key.role }),
          () => keys.create(workspace, key),
        ),
      list: (workspace, page) => limited(() => keys.list(workspace, page)),
      delete: (workspace, id) =>
        changing(
          'key revoked',
          () => ({ workspace, key_id: id }),
          () => keys.delete(workspace, id),
        ),
    },
    parts: [
      directory,
      keyUses({
        take: () => directory.takeUsed(),
        putBack: id => directory.used(id),
        write: ids => keys.touch(ids),
        logger,
      }),
    ],
  }
}
