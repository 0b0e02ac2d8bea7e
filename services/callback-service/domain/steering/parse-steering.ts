import { labels } from '../agents/parse-agent.ts'
import { InvalidBodyError } from '../json-body.ts'
import { boolean, integer, orNull, type ReadMember, readMembers, readObject, string } from '../workspaces/json-members.ts'
import { MAX_PRIORITY, MIN_PRIORITY } from './change.ts'
import type { CallbackChanges } from './steered.ts'

/** Which objects one more round fetches. */
export type Objects = 'all' | 'missing'

/** Reads the body of a request that changes a callback: `activated`, `priority`, `agent_labels`, or several. @throws {InvalidBodyError} */
export function parseCallbackChanges(body: Uint8Array): CallbackChanges {
  const { agent_labels, ...changes } = readMembers<WrittenChanges>(readObject(body), {
    activated: boolean,
    priority: integer(MIN_PRIORITY, MAX_PRIORITY),
    agent_labels: orNull(labels, null),
  })
  const all = { ...changes, ...(agent_labels !== undefined && { agentLabels: agent_labels }) }
  if (Object.keys(all).length === 0) throw new InvalidBodyError('missing_member', 'The body needs activated, priority or agent_labels.', '')
  return all
}

/** The changes as JSON writes them. */
interface WrittenChanges extends Required<Omit<CallbackChanges, 'agentLabels'>> {
  readonly agent_labels: readonly string[] | null
}

/** Reads the body of a request that sends a callback one more round. @throws {InvalidBodyError} */
export function parseRetry(body: Uint8Array): Objects {
  return readMembers<{ objects: Objects }>(readObject(body), { objects }).objects ?? 'missing'
}

const objects: ReadMember<Objects> = (value, pointer) => {
  const text = string(value, pointer)
  if (text !== 'all' && text !== 'missing') throw new InvalidBodyError('invalid_value', 'The value must be all or missing.', pointer)
  return text
}
