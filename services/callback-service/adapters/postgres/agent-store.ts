import { v7 } from 'uuid'
import type { PageRequest } from '#foundation/http/paging.ts'
import { Prisma, type PrismaClient } from '#prisma'
import { MAX_AGENTS, MAX_ALL_AGENTS } from '../../domain/agents/agent.ts'
import { AgentConflictError } from '../../domain/agents/agent-conflict.ts'
import type { AgentKey, AgentView } from '../../domain/agents/agent-view.ts'
import type { AgentMembers } from '../../domain/agents/parse-agent.ts'
import { hashOfKey, newAccessKey } from '../access-key.ts'
import type { AccessChanges } from './access-changes.ts'
import { type AgentRow, agentOf, SHOWN_AGENT } from './agent-row.ts'
import { inDatabase } from './database.ts'

/** What a change must know of the other agents. */
interface AgentFacts {
  readonly exists: boolean
  readonly inWorkspace: number
  readonly inAll: number
  /** The id of the agent that has the name. */
  readonly named: string | null
}

/**
 * The agents in the database. A change is on the disk when its promise resolves. All but `create` are safe to repeat. Each method throws
 * StorageUnavailableError if the outcome is unknown.
 */
export class AgentStore {
  readonly #changes: AccessChanges
  readonly #prisma: PrismaClient

  /** @param options.prisma for reads */
  constructor({ changes, prisma }: { readonly changes: AccessChanges; readonly prisma: PrismaClient }) {
    this.#changes = changes
    this.#prisma = prisma
  }

  async find({ workspace, id }: AgentKey): Promise<AgentView | undefined> {
    const [agent] = await this.#read(Prisma.sql`SELECT * FROM agents WHERE id = ${id}::uuid AND workspace = ${workspace}`)
    return agent
  }

  /** Reads a page, ordered by name. Archived agents are in the list. */
  list(workspace: string, { limit, position }: PageRequest<string>): Promise<AgentView[]> {
    const isBackward = position?.direction === 'before'
    const place = position ? Prisma.sql`AND name ${Prisma.raw(isBackward ? '<' : '>')} ${position.key}` : Prisma.empty
    const order = Prisma.raw(isBackward ? 'DESC' : 'ASC')
    return this.#read(Prisma.sql`SELECT * FROM agents WHERE workspace = ${workspace} ${place} ORDER BY name ${order} LIMIT ${limit}`)
  }

  /**
   * Makes an agent with a key. The database gets only the hash of the key, so nobody can show the key again.
   * @returns undefined if there is no such workspace
   * @throws {AgentConflictError}
   */
  async create(workspace: string, members: AgentMembers): Promise<{ readonly agent: AgentView; readonly key: string } | undefined> {
    const { name, description, labels, maxLeases } = members
    const [id, key] = [v7(), newAccessKey(workspace)]
    const row = await this.#changes.change<AgentRow, AgentFacts>(
      workspace,
      ({ workspace: found, more }) => {
        if (!found) return undefined
        requireNameOf(id, more)
        if (more.inWorkspace >= MAX_AGENTS) throw tooManyAgents(`A workspace can have ${MAX_AGENTS} agents, archived ones included.`)
        if (more.inAll >= MAX_ALL_AGENTS) throw tooManyAgents(`All workspaces together can have ${MAX_ALL_AGENTS} agents.`)
        return {
          statement: Prisma.sql`INSERT INTO agents AS a (id, workspace, name, description, labels, max_leases)
            SELECT ${id}::uuid, ${workspace}, ${name}, ${description}, ${[...labels]}::text[], ${maxLeases}::int FROM bumped
            RETURNING ${SHOWN_AGENT} AS row`,
          also: Prisma.sql`INSERT INTO access_keys (id, workspace, role, name, hash, agent_id)
            SELECT ${v7()}::uuid, ${workspace}, 'agent', ${name}, ${hashOfKey(key)}, ${id}::uuid FROM bumped`,
        }
      },
      factsAbout({ workspace, id }, name),
    )
    return row && { agent: agentOf(row), key }
  }

  /** @returns undefined if there is no such agent @throws {AgentConflictError} agent_exists */
  change({ workspace, id }: AgentKey, members: Partial<AgentMembers>): Promise<AgentView | undefined> {
    const { name, description, labels, maxLeases } = members
    const assignments = [
      ...(name === undefined ? [] : [Prisma.sql`name = ${name}`]),
      ...(description === undefined ? [] : [Prisma.sql`description = ${description}`]),
      ...(labels === undefined ? [] : [Prisma.sql`labels = ${[...labels]}::text[]`]),
      ...(maxLeases === undefined ? [] : [Prisma.sql`max_leases = ${maxLeases}::int`]),
    ]
    if (assignments.length === 0) return this.find({ workspace, id })
    return this.#update({ workspace, id }, Prisma.join(assignments), name)
  }

  /** @returns undefined if there is no such agent */
  archive(key: AgentKey): Promise<AgentView | undefined> {
    return this.#update(key, Prisma.sql`archived_at = coalesce(a.archived_at, clock_timestamp())`)
  }

  /** @returns undefined if there is no such agent */
  restore(key: AgentKey): Promise<AgentView | undefined> {
    return this.#update(key, Prisma.sql`archived_at = NULL`)
  }

  async #update({ workspace, id }: AgentKey, assignments: Prisma.Sql, name?: string): Promise<AgentView | undefined> {
    const row = await this.#changes.change<AgentRow, AgentFacts>(
      workspace,
      ({ more }) => {
        if (!more.exists) return undefined
        requireNameOf(id, more)
        return Prisma.sql`UPDATE agents AS a SET ${assignments} FROM bumped WHERE id = ${id}::uuid AND workspace = ${workspace}
          RETURNING ${SHOWN_AGENT} AS row`
      },
      factsAbout({ workspace, id }, name),
    )
    return row && agentOf(row)
  }

  async #read(query: Prisma.Sql): Promise<AgentView[]> {
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<{ rows: string }[]>`
        SELECT coalesce(json_agg(${SHOWN_AGENT} ORDER BY name), '[]')::text AS rows FROM (${query}) AS a`,
    )
    return (JSON.parse(String(row?.rows)) as AgentRow[]).map(agentOf)
  }
}

/** @param name undefined: the change needs no name */
function factsAbout({ workspace, id }: AgentKey, name: string | undefined): Prisma.Sql {
  return Prisma.sql`SELECT json_build_object('exists', EXISTS (SELECT FROM agents WHERE id = ${id}::uuid AND workspace = ${workspace}),
    'inWorkspace', (SELECT count(*) FROM agents WHERE workspace = ${workspace}), 'inAll', (SELECT count(*) FROM agents),
    'named', (SELECT id FROM agents WHERE workspace = ${workspace} AND name = ${name ?? null}::text))`
}

function requireNameOf(id: string, { named }: AgentFacts): void {
  if (named !== null && named !== id) throw new AgentConflictError('agent_exists', 'An agent of the workspace has this name already.')
}

function tooManyAgents(detail: string): AgentConflictError {
  return new AgentConflictError('too_many_agents', detail)
}
