import { Prisma, type PrismaClient } from '#prisma'
import type { KnownAgent } from '../../domain/agents/agent.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { KeyRole, KnownKey } from '../../domain/workspaces/caller.ts'
import type { AccessState } from '../access-snapshot.ts'
import { inDatabase } from './database.ts'
import { type WorkspaceRow, workspaceOf } from './workspace-row.ts'

/**
 * The number of the last change, and the transaction that made it. After a failover that lost a change, another change can have its number, but
 * not its transaction too.
 */
const REVISION = Prisma.sql`number || ' ' || xmin`

/** Reads what identifies the last change of any workspace, key or agent. @throws {StorageUnavailableError} */
export async function readRevision(prisma: PrismaClient): Promise<string> {
  const [row] = await inDatabase(() => prisma.$queryRaw<{ revision: string }[]>`SELECT ${REVISION} AS revision FROM access_revision`)
  if (!row) throw rowMissing()
  return row.revision
}

/** All that a replica knows of who may do what. */
export interface ReadAccess extends AccessState {
  /** What identifies the last change before them. */
  readonly revision: string
  readonly agents: readonly KnownAgent[]
}

/** Reads all workspaces, keys and agents, in one snapshot. @throws {StorageUnavailableError} */
export async function readAccess(prisma: PrismaClient): Promise<ReadAccess> {
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ state: string }[]>`
      SELECT json_build_object(
        'revision', (SELECT ${REVISION} FROM access_revision),
        'workspaces', (SELECT coalesce(json_agg(w ORDER BY name), '[]') FROM workspaces w),
        'keys', (SELECT coalesce(json_agg(json_build_object('id', id, 'workspace', workspace, 'role', role,
          'hash', encode(hash, 'hex'), 'expiresAt', expires_at, 'agentId', agent_id)), '[]') FROM access_keys),
        'agents', (SELECT coalesce(json_agg(json_build_object('id', id, 'workspace', workspace, 'name', name, 'labels', labels,
          'maxLeases', max_leases, 'isArchived', archived_at IS NOT NULL) ORDER BY id), '[]') FROM agents))::text AS state`,
  )
  const { revision, workspaces, keys, agents } = JSON.parse(String(row?.state)) as StateRow
  if (revision === null) throw rowMissing()
  return { revision, workspaces: workspaces.map(workspaceOf), keys: keys.map(keyOf), agents }
}

interface StateRow {
  readonly revision: string | null
  readonly workspaces: readonly WorkspaceRow[]
  readonly keys: readonly KeyText[]
  readonly agents: readonly KnownAgent[]
}

/** A key as JSON. */
interface KeyText {
  readonly id: string
  readonly workspace: string
  readonly role: KeyRole
  readonly hash: string
  readonly expiresAt: string | null
  readonly agentId: string | null
}

/** Without that row, nobody can see or make changes. */
export function rowMissing(): StorageUnavailableError {
  return new StorageUnavailableError('the table access_revision has no row')
}

function keyOf({ hash, expiresAt, ...key }: KeyText): KnownKey {
  return { ...key, hash: Buffer.from(hash, 'hex'), expiresAt: expiresAt === null ? null : new Date(expiresAt) }
}
