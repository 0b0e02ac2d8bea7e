import pLimit from 'p-limit'
import { Prisma, type PrismaClient } from '#prisma'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { Workspace } from '../../domain/workspaces/workspace.ts'
import { rowMissing } from './access-reader.ts'
import { inDatabase, WAIT_FOR_DISK } from './database.ts'
import { type WorkspaceRow, workspaceOf } from './workspace-row.ts'

/** What a change must know of the workspaces to keep their bounds. */
export interface AccessFacts<More = null> {
  /** The workspace that the change is about; undefined if there is none. */
  readonly workspace: Workspace | undefined
  /** Keys of that workspace that belong to no agent. */
  readonly keyCount: number
  readonly workspaceCount: number
  /** The URLs of the client services of all other workspaces, each once. */
  readonly otherUrls: readonly string[]
  /** What the change has asked for itself. */
  readonly more: More
}

/** The statement of a change: it must read `FROM bumped` and return one row as `row` (JSON). */
type ChangeStatement =
  | Prisma.Sql
  | { readonly statement: Prisma.Sql /** A second one of the same transaction. */; readonly also: Prisma.Sql }

/** Maximum number of tries of a change. A try fails only if another replica changed something in between. */
const MAX_TRIES = 100

/**
 * Changes workspaces and keys, one change after the other over all replicas. A change reads the facts, decides, and writes only if nothing
 * has changed since: `access_revision` counts all changes. So bounds hold without a transaction of several statements.
 */
export class AccessChanges {
  readonly #prisma: PrismaClient
  readonly #inTurn = pLimit(1)

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma
  }

  /**
   * Makes one change and waits until it is on the disk.
   * @param name the workspace that the change is about
   * @param decide undefined: nothing to change
   * @param more a query of one value that becomes `more` of the facts; null if it finds no row
   * @returns that row
   * @throws what `decide` throws; nothing was changed
   * @throws {StorageUnavailableError} the change may or may not be made
   */
  change<Row, More = null>(
    name: string,
    decide: (facts: AccessFacts<More>) => ChangeStatement | undefined,
    more = Prisma.sql`SELECT NULL`,
  ): Promise<Row | undefined> {
    return this.#inTurn(async () => {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const { revision, ...facts } = await this.#facts<More>(name, more)
        const decided = decide(facts)
        if (!decided) return undefined
        const { statement, also } = 'also' in decided ? decided : { statement: decided, also: NOTHING }
        const [written] = await inDatabase(
          () => this.#prisma.$queryRaw<{ row: string }[]>`
            WITH bumped AS (UPDATE access_revision SET number = number + 1 WHERE number = ${revision}::bigint RETURNING number),
              changed AS (${statement}), also AS (${also})
            SELECT row::text AS row, ${WAIT_FOR_DISK} FROM changed`,
        )
        if (written) return JSON.parse(written.row) as Row
      }
      throw new StorageUnavailableError('other replicas change workspaces all the time')
    })
  }

  /** Reads the facts and the number of the last change before them, in one snapshot. */
  async #facts<More>(name: string, more: Prisma.Sql): Promise<AccessFacts<More> & { readonly revision: string }> {
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<{ facts: string }[]>`
        SELECT json_build_object(
          'revision', (SELECT number::text FROM access_revision),
          'row', (SELECT row_to_json(w) FROM workspaces w WHERE name = ${name}),
          'keyCount', (SELECT count(*) FROM access_keys WHERE workspace = ${name} AND agent_id IS NULL),
          'workspaceCount', (SELECT count(*) FROM workspaces),
          'otherUrls', (SELECT coalesce(json_agg(DISTINCT client_service_url), '[]') FROM workspaces
            WHERE client_service_url IS NOT NULL AND name <> ${name}),
          'more', (${more}))::text AS facts`,
    )
    const { row: found, ...facts } = JSON.parse(String(row?.facts)) as FactsRow<More>
    if (facts.revision === null) throw rowMissing()
    return { ...facts, revision: facts.revision, workspace: found ? workspaceOf(found) : undefined }
  }
}

const NOTHING = Prisma.sql`SELECT`

interface FactsRow<More> extends Omit<AccessFacts<More>, 'workspace'> {
  readonly revision: string | null
  readonly row: WorkspaceRow | null
}
