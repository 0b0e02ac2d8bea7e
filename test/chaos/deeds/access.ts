import { WORKSPACES } from '../access.ts'
import type { Deed } from './deed.ts'

/** Replaces keys of senders while they send. */
export const ACCESS_DEEDS = {
  'keys are rotated': async ({ system }) => {
    for (const workspace of WORKSPACES) await system.access.rotate(workspace)
  },
} as const satisfies Readonly<Record<string, Deed>>
