import type { Shortage } from './agent-shortage.ts'
import { callbacks, duration, number } from './light-texts.ts'

/** What the light of the agents tells about. */
export interface AgentFacts {
  /** Number of workspaces for which agents fetch. */
  readonly workspaces: number
  readonly shortages: readonly Shortage[]
  /** Leases that this process saw lapse within the last minute. */
  readonly lapsed: number
}

/** A lease lapses now and then, for example when an agent is restarted. More than this within a minute are worth a warning. */
const MANY_LAPSES = 5

interface AgentsLight {
  readonly state: 'ok' | 'warn' | 'bad'
  readonly text: string
}

/** Says how the agents are. @returns undefined where no workspace has them */
export function agentsLight({ workspaces, shortages, lapsed }: AgentFacts): AgentsLight | undefined {
  if (workspaces === 0) return undefined
  const [worst] = shortages
  if (worst) return { state: worst.hasAgent ? 'warn' : 'bad', text: `${shortageText(worst)}${othersText(shortages.length - 1)}` }
  if (lapsed >= MANY_LAPSES) {
    return {
      state: 'warn',
      text: `${number(lapsed)} leases lapsed here within the last minute. Their agents died, hang, or cannot reach the service.`,
    }
  }
  return {
    state: 'ok',
    text: `Agents take the callbacks of ${workspaces === 1 ? '1 workspace' : `${number(workspaces)} workspaces`}.`,
  }
}

function shortageText({ workspace, waiting, ms, hasAgent, callback }: Shortage): string {
  if (callback !== undefined) {
    return `${callbacks(waiting)} waiting in ${workspace}, and no living agent suits ${waiting === 1 ? 'it' : 'them'}. Callback ${callback} has waited for ${duration(ms)}. Compare its labels with those of the agents, and see who has it assigned.`
  }
  const waits = `${callbacks(waiting)} waiting in ${workspace}`
  return hasAgent
    ? `${waits}, but its agents have taken none for ${duration(ms)}. They may lack a label, or hold all they may.`
    : `${waits}, but none of its agents is alive. Seen for ${duration(ms)}.`
}

function othersText(others: number): string {
  if (others === 0) return ''
  return others === 1 ? ' 1 other workspace lacks agents too.' : ` ${number(others)} other workspaces lack agents too.`
}
