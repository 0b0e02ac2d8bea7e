import type { Transition } from './history.ts'

interface ClaimFindings {
  readonly rewritten: string[]
  readonly usurped: string[]
  readonly stolen: string[]
}

/**
 * Follows the states of each callback in the order in which they changed. A finished callback must not change. Only the worker that claimed
 * a callback may finish it. A callback may be taken only from a worker that is dead or hangs. Any replica may end the lease of an agent, but
 * nobody may claim or lease a callback that is leased.
 */
export function checkClaims(transitions: readonly Transition[]): ClaimFindings {
  const findings: ClaimFindings = { rewritten: [], usurped: [], stolen: [] }
  const claimants = new Map<string, string>()
  for (const { callbackId, from, to, replica, isWorkerAlive, wasLeased } of transitions) {
    const claimant = claimants.get(callbackId)
    const finding = `${callbackId}: ${from} to ${to} by ${replica}, claimed by ${claimant ?? 'nobody'}`
    claimants.delete(callbackId)
    if (from === 'completed' || from === 'failed') findings.rewritten.push(finding)
    else if (to === 'running') {
      if (from === 'running') findings.usurped.push(finding)
      claimants.set(callbackId, replica)
    } else if (to === 'pending' || to === 'paused') {
      if (claimant !== replica && isWorkerAlive) findings.stolen.push(finding)
    } else if (claimant !== replica && !wasLeased) findings.usurped.push(finding)
  }
  return findings
}
