import type { Transition } from './history.ts'

interface ClaimFindings {
  readonly rewritten: string[]
  readonly usurped: string[]
  readonly stolen: string[]
}

/**
 * Follows each callback through its states, in the order in which they changed: once finished it stays as it is, only who has claimed it
 * finishes it, and it is taken only from workers that died or hang.
 */
export function checkClaims(transitions: readonly Transition[]): ClaimFindings {
  const findings: ClaimFindings = { rewritten: [], usurped: [], stolen: [] }
  const claimants = new Map<string, string>()
  for (const { callbackId, from, to, replica, isWorkerAlive } of transitions) {
    const claimant = claimants.get(callbackId)
    const finding = `${callbackId}: ${from} to ${to} by ${replica}, claimed by ${claimant ?? 'nobody'}`
    claimants.delete(callbackId)
    if (from === 'completed' || from === 'failed') findings.rewritten.push(finding)
    else if (to === 'running') {
      if (from === 'running') findings.usurped.push(finding)
      claimants.set(callbackId, replica)
    } else if (to !== 'pending') {
      if (claimant !== replica) findings.usurped.push(finding)
    } else if (claimant !== replica && isWorkerAlive) findings.stolen.push(finding)
  }
  return findings
}
