import type { PageRequest } from '#foundation/http/paging.ts'
import { Prisma, type PrismaClient } from '#prisma'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import { DEFAULT_WORKSPACE, type Workspace } from '../../domain/workspaces/workspace.ts'
import { changed, type NewWorkspace, type WorkspaceChanges } from '../../domain/workspaces/workspace-changes.ts'
import { WorkspaceConflictError } from '../../domain/workspaces/workspace-conflict.ts'
import type { AccessChanges, AccessFacts } from './access-changes.ts'
import { inDatabase } from './database.ts'
import { CHANGEABLE, valuesOf, type WorkspaceRow, workspaceOf } from './workspace-row.ts'

export interface WorkspaceStoreOptions {
  readonly changes: AccessChanges
  /** For reads. */
  readonly prisma: PrismaClient
  readonly maxWorkspaces: number
  /** Maximum number of different URLs of client services over all workspaces. */
  readonly maxClientServices: number
}

/**
 * The workspaces in the database. A change is on the disk when its promise resolves, and safe to repeat.
 * Each method throws StorageUnavailableError if the outcome is unknown.
 */
export class WorkspaceStore {
  readonly #options: WorkspaceStoreOptions

  constructor(options: WorkspaceStoreOptions) {
    this.#options = options
  }

  async find(name: string): Promise<Workspace | undefined> {
    const [row] = await this.#read(Prisma.sql`SELECT * FROM workspaces WHERE name = ${name}`)
    return row
  }

  /** Reads a page, ordered by name. Archived workspaces are in the list. */
  list({ limit, position }: PageRequest<string>): Promise<Workspace[]> {
    const isBackward = position?.direction === 'before'
    const place = position ? Prisma.sql`WHERE name ${Prisma.raw(isBackward ? '<' : '>')} ${position.key}` : Prisma.empty
    return this.#read(Prisma.sql`SELECT * FROM workspaces ${place} ORDER BY name ${Prisma.raw(isBackward ? 'DESC' : 'ASC')} LIMIT ${limit}`)
  }

  /** @throws {WorkspaceConflictError} workspace_exists, too_many_workspaces, too_many_client_services */
  async create({ name, ...changes }: NewWorkspace): Promise<Workspace> {
    const workspace = changed({ ...BUILT_IN_DEFAULT, name }, changes)
    const row = await this.#options.changes.change<WorkspaceRow>(name, facts => {
      if (facts.workspace) throw new WorkspaceConflictError('workspace_exists', 'A workspace has this name already.')
      if (facts.workspaceCount >= this.#options.maxWorkspaces) {
        throw new WorkspaceConflictError('too_many_workspaces', `There are ${facts.workspaceCount} workspaces, archived ones included.`)
      }
      this.#requireRoomFor(workspace, facts)
      return Prisma.sql`INSERT INTO workspaces AS w (name, ${CHANGEABLE}) SELECT ${name}, ${valuesOf(workspace)} FROM bumped RETURNING row_to_json(w) AS row`
    })
    return workspaceOf(row as WorkspaceRow)
  }

  /**
   * @returns the workspace with its changes; undefined if there is none
   * @throws {WorkspaceConflictError} default_workspace, too_many_client_services
   */
  change(name: string, changes: WorkspaceChanges): Promise<Workspace | undefined> {
    return this.#update(name, facts => {
      const workspace = changed(facts.workspace as Workspace, changes)
      if (name === DEFAULT_WORKSPACE && Object.values(workspace.limits).some(limit => limit !== null)) {
        throw new WorkspaceConflictError('default_workspace', 'The workspace default cannot have limits.')
      }
      this.#requireRoomFor(workspace, facts)
      return Prisma.sql`(${CHANGEABLE}) = ROW(${valuesOf(workspace)})`
    })
  }

  /** @returns undefined if there is no such workspace @throws {WorkspaceConflictError} default_workspace */
  async archive(name: string): Promise<Workspace | undefined> {
    if (name === DEFAULT_WORKSPACE) throw new WorkspaceConflictError('default_workspace', 'The workspace default cannot be archived.')
    return this.#update(name, () => Prisma.sql`archived_at = coalesce(w.archived_at, clock_timestamp())`)
  }

  /** @returns undefined if there is no such workspace */
  restore(name: string): Promise<Workspace | undefined> {
    return this.#update(name, () => Prisma.sql`archived_at = NULL`)
  }

  async #update(name: string, assignment: (facts: AccessFacts) => Prisma.Sql): Promise<Workspace | undefined> {
    const row = await this.#options.changes.change<WorkspaceRow>(name, facts =>
      facts.workspace
        ? Prisma.sql`UPDATE workspaces AS w SET ${assignment(facts)} FROM bumped WHERE name = ${name} RETURNING row_to_json(w) AS row`
        : undefined,
    )
    return row && workspaceOf(row)
  }

  #requireRoomFor({ clientServiceUrl }: Workspace, { workspace, otherUrls }: AccessFacts): void {
    const isNew = clientServiceUrl !== null && clientServiceUrl !== workspace?.clientServiceUrl && !otherUrls.includes(clientServiceUrl)
    if (isNew && otherUrls.length >= this.#options.maxClientServices) {
      throw new WorkspaceConflictError('too_many_client_services', `The workspaces have ${otherUrls.length} client services already.`)
    }
  }

  async #read(query: Prisma.Sql): Promise<Workspace[]> {
    const [row] = await inDatabase(
      () => this.#options.prisma.$queryRaw<{ rows: string }[]>`
        SELECT coalesce(json_agg(w ORDER BY name), '[]')::text AS rows FROM (${query}) AS w`,
    )
    return (JSON.parse(String(row?.rows)) as WorkspaceRow[]).map(workspaceOf)
  }
}
