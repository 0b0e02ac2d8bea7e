import { v7 } from 'uuid'
import type { PageRequest } from '#foundation/http/paging.ts'
import { Prisma, type PrismaClient } from '#prisma'
import { MAX_AGENT_KEYS } from '../../domain/agents/agent.ts'
import { InvalidBodyError } from '../../domain/json-body.ts'
import type { ListedKey, NewKey } from '../../domain/workspaces/access-key.ts'
import type { KeyRole } from '../../domain/workspaces/caller.ts'
import { MAX_KEYS, WorkspaceConflictError } from '../../domain/workspaces/workspace-conflict.ts'
import { hashOfKey, newAccessKey } from '../access-key.ts'
import type { AccessChanges } from './access-changes.ts'
import { inDatabase, WAIT_FOR_DISK } from './database.ts'

/** Age of a last use, in seconds, before a newer one is written. */
const USE_AGE_SECONDS = 60

/** A row of `access_keys` as JSON, without the hash. */
interface KeyRow {
  readonly id: string
  readonly workspace: string
  readonly role: KeyRole
  readonly name: string
  readonly created_at: string
  readonly expires_at: string | null
  readonly last_used_at: string | null
  readonly agent_id: string | null
}

const SHOWN = Prisma.raw(`json_build_object('id', k.id, 'workspace', k.workspace, 'role', k.role, 'name', k.name,
  'created_at', k.created_at, 'expires_at', k.expires_at, 'last_used_at', k.last_used_at,
  'agent_id', k.agent_id)`)

/**
 * The keys in the database. A change is on the disk when its promise resolves. Each method throws StorageUnavailableError if the outcome is
 * unknown.
 */
export class AccessKeyStore {
  readonly #changes: AccessChanges
  readonly #work: PrismaClient
  readonly #read: PrismaClient

  constructor({ changes, work, read }: { readonly changes: AccessChanges; readonly work: PrismaClient; readonly read: PrismaClient }) {
    this.#changes = changes
    this.#work = work
    this.#read = read
  }

  /**
   * Makes a key. The database gets only its hash, so nobody can show the key again.
   * @returns undefined if there is no such workspace
   * @throws {WorkspaceConflictError} too_many_keys
   * @throws {InvalidBodyError} the workspace has no such agent
   */
  async create(
    workspace: string,
    { role, name, expiresAt, agentId }: NewKey,
  ): Promise<{ readonly key: string; readonly listed: ListedKey } | undefined> {
    const key = newAccessKey(workspace)
    const row = await this.#changes.change<KeyRow, number | null>(
      workspace,
      facts => {
        if (!facts.workspace) return undefined
        if (agentId === null) requireRoom(facts.keyCount, MAX_KEYS, 'A workspace')
        else if (facts.more === null) throw new InvalidBodyError('invalid_value', 'The workspace has no agent with this id.', '/agent')
        else requireRoom(facts.more, MAX_AGENT_KEYS, 'An agent')
        return Prisma.sql`INSERT INTO access_keys AS k (id, workspace, role, name, hash, expires_at, agent_id)
          SELECT ${v7()}::uuid, ${workspace}, ${role}, ${name}, ${hashOfKey(key)}, ${expiresAt}::timestamptz, ${agentId}::uuid FROM bumped
          RETURNING ${SHOWN} AS row`
      },
      Prisma.sql`SELECT (SELECT count(*) FROM access_keys WHERE agent_id = a.id) FROM agents a WHERE id = ${agentId}::uuid AND workspace = ${workspace}`,
    )
    return row && { key, listed: listedOf(row) }
  }

  /** Reads a page, oldest first. @returns undefined if there is no such workspace */
  async list(workspace: string, { limit, position }: PageRequest<string>): Promise<ListedKey[] | undefined> {
    const isBackward = position?.direction === 'before'
    const place = position ? Prisma.sql`AND id ${Prisma.raw(isBackward ? '<' : '>')} ${position.key}::uuid` : Prisma.empty
    const [row] = await inDatabase(
      () => this.#read.$queryRaw<{ rows: string }[]>`
        SELECT (SELECT coalesce(json_agg(${SHOWN} ORDER BY k.id), '[]') FROM (
          SELECT * FROM access_keys WHERE workspace = ${workspace} ${place} ORDER BY id ${Prisma.raw(isBackward ? 'DESC' : 'ASC')} LIMIT ${limit}
        ) AS k)::text AS rows FROM workspaces WHERE name = ${workspace}`,
    )
    return row && (JSON.parse(row.rows) as KeyRow[]).map(listedOf)
  }

  /**
   * Deletes a key. It counts as a change even if there is no such key, so that it waits until an earlier deletion is on the disk.
   * @returns whether there was such a key
   */
  async delete(workspace: string, id: string): Promise<boolean> {
    const [row] = await inDatabase(
      () => this.#work.$queryRaw<{ deleted: boolean }[]>`
        WITH bumped AS (UPDATE access_revision SET number = number + 1 RETURNING number),
          gone AS (DELETE FROM access_keys WHERE id = ${id}::uuid AND workspace = ${workspace} RETURNING id)
        SELECT EXISTS (SELECT FROM gone) AS deleted, ${WAIT_FOR_DISK} FROM bumped`,
    )
    return row?.deleted ?? false
  }

  /** Notes that keys were used, unless a use in the last minute is known. The order of the rows keeps replicas out of deadlocks. */
  async touch(ids: readonly string[]): Promise<void> {
    await inDatabase(
      () => this.#work.$executeRaw`
        UPDATE access_keys SET last_used_at = clock_timestamp() WHERE id IN (
          SELECT id FROM access_keys WHERE id = ANY (${[...ids]}::uuid[])
            AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - make_interval(secs => ${USE_AGE_SECONDS}::float8))
          ORDER BY id FOR UPDATE SKIP LOCKED)`,
    )
  }
}

/** @throws {WorkspaceConflictError} too_many_keys */
function requireRoom(count: number, max: number, who: string): void {
  if (count >= max) throw new WorkspaceConflictError('too_many_keys', `${who} can have ${max} keys.`)
}

function listedOf({ created_at, expires_at, last_used_at, agent_id, ...row }: KeyRow): ListedKey {
  return {
    ...row,
    agentId: agent_id,
    createdAt: new Date(created_at),
    expiresAt: expires_at === null ? null : new Date(expires_at),
    lastUsedAt: last_used_at === null ? null : new Date(last_used_at),
  }
}
