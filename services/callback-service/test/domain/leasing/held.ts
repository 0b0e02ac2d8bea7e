import type { ObjectId } from '#fetching/object-id.ts'
import type { HeldLease } from '../../../domain/leasing/held-lease.ts'

const TOKEN = '01a2012d-f2c1-7a55-9d3e-1f0c7b6a4e21'
const CALLBACK = '01890a5d-ac96-774b-bcce-b302099a8057'

interface HeldOptions {
  readonly asked?: readonly ObjectId[]
  readonly delivered?: readonly ObjectId[]
  readonly offline?: readonly ObjectId[]
  readonly unstored?: HeldLease['callback']['unstored']
  readonly attempt?: number
}

/** Makes a live lease. */
export function heldLease({ asked = [1n, 2n], delivered = [], offline = [], unstored = [], attempt = 1 }: HeldOptions = {}): HeldLease {
  return {
    lease: {
      token: TOKEN,
      agentId: 'agent-1',
      callbackId: CALLBACK,
      workspace: 'default',
      objectIds: asked.filter(id => !delivered.includes(id)),
      attempt,
      receivedAt: new Date(0),
      leasedAt: new Date(1000),
      expiresAt: new Date(31_000),
      expiresInMs: 30_000,
      waitedMs: 1000,
      trace: {},
      requestId: undefined,
    },
    agentName: 'hall-3',
    callback: {
      id: CALLBACK,
      workspace: 'default',
      token: TOKEN,
      attempt,
      crashes: 0,
      missingIds: asked,
      unstored,
      receivedAtMs: 0,
      waitedMs: 1000,
      freshFromMs: 0,
      trace: {},
      requestId: undefined,
    },
    asked: new Set(asked),
    delivered: new Set(delivered),
    offline,
    leasedAtMs: 5000,
    leasedEpochMs: 1000,
  }
}
