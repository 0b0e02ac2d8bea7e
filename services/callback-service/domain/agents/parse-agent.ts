import { InvalidBodyError } from '../json-body.ts'
import { integer, line, list, orNull, type ReadMember, readMembers, readObject, required, string } from '../workspaces/json-members.ts'
import { AGENT_LABEL, MAX_LABELS, MAX_LEASES } from './agent.ts'

/** What a manager says of an agent. */
export interface AgentMembers {
  readonly name: string
  readonly description: string
  readonly labels: readonly string[]
  /** Callbacks that it may hold at a time. */
  readonly maxLeases: number
}

export const MAX_AGENT_NAME = 64
export const MAX_AGENT_DESCRIPTION = 500
export const DEFAULT_MAX_LEASES = 16

/** Reads the body of a request that makes or replaces an agent. What is absent has its default. @throws {InvalidBodyError} */
export function parseAgent(body: Uint8Array): AgentMembers {
  const changes = parseAgentChanges(body)
  return { description: '', labels: [], maxLeases: DEFAULT_MAX_LEASES, ...changes, name: required(changes.name, 'name') }
}

/** Reads the body of a request that changes an agent: a JSON merge patch (RFC 7396). Null means the default. @throws {InvalidBodyError} */
export function parseAgentChanges(body: Uint8Array): Partial<AgentMembers> {
  const { max_leases, ...members } = readMembers<WrittenAgent>(readObject(body), {
    name: agentName,
    description: orNull(line(MAX_AGENT_DESCRIPTION), ''),
    labels: orNull(labels, []),
    max_leases: orNull(integer(1, MAX_LEASES), DEFAULT_MAX_LEASES),
  })
  return { ...members, ...(max_leases !== undefined && { maxLeases: max_leases }) }
}

/** Reads labels. Duplicates are dropped. @throws {InvalidBodyError} */
export const labels: ReadMember<readonly string[]> = (value, pointer) => [...new Set(list(MAX_LABELS, label)(value, pointer))]

/** An agent as JSON writes it. */
interface WrittenAgent extends Omit<AgentMembers, 'maxLeases'> {
  readonly max_leases: number
}

const label: ReadMember<string> = (value, pointer) => {
  const text = string(value, pointer)
  if (AGENT_LABEL.test(text)) return text
  const detail = 'A label has 1 to 63 characters: A to Z, a to z, 0 to 9, and after the first one also _ . : = / and -.'
  throw new InvalidBodyError('invalid_value', detail, pointer)
}

const agentName: ReadMember<string> = (value, pointer) => {
  const name = line(MAX_AGENT_NAME)(value, pointer)
  if (name !== '' && name === name.trim()) return name
  throw new InvalidBodyError('invalid_value', 'A name has at least one character, and no white space around it.', pointer)
}
