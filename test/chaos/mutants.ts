import type { Violation } from './checker.ts'
import type { FaultKind } from './fault-kinds.ts'
import type { Fault } from './fault-plan.ts'

/** A fault planted into the sources of the services: what it breaks, and the faults of the system that must reveal it. */
export interface Mutant {
  readonly name: string
  /** The changes to the sources. There are several if several parts keep the same promise. */
  readonly changes: readonly Change[]
  readonly faults: readonly Fault[]
  /** Callbacks per second, if not the usual number. */
  readonly perSecond?: number
  /** The violations of which any reveals it. */
  readonly shownBy: readonly Violation[]
}

export interface Change {
  /** The name of the file without its folder. No two such files have the same name. */
  readonly file: string
  /** The text to replace. The file contains it exactly once. */
  readonly text: string
  readonly instead: string
}

/** Additional time of each run, before the first fault and after the last one is lifted. */
export const CALM_SECONDS = 2

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'answers before the commit',
    changes: [
      {
        file: 'callback-inbox.ts',
        text: 'const result = await this.#batcher.add(callback).catch(translate)',
        instead: `this.#batcher.add(callback).catch(() => undefined)
    const result = { id: callback.id, receivedAt: new Date(), isReplay: false } as Accepted | Error`,
      },
    ],
    faults: [at(2, 'refuse', 0, 2000), at(5, 'postgres crashes', 0, 1000)],
    shownBy: ['lost'],
  },
  {
    name: 'settles without the token',
    changes: [
      {
        file: 'callback-leaving.ts',
        text: 'WHERE c.id = r.id AND c.claim_token = r.token',
        instead: 'WHERE c.id = r.id',
      },
    ],
    faults: [at(2, 'hang', 0, 4800), at(8, 'hang', 1, 4800)],
    shownBy: ['rewritten', 'usurped'],
  },
  {
    name: 'takes over from the living',
    changes: [
      {
        file: 'worker-liveness.ts',
        text: 'leaseMs !== null && unrenewedMs >= leaseMs',
        instead: 'seen !== undefined',
      },
    ],
    // A worker proves that it is alive only after a while.
    faults: [at(2, 'client hangs', 0, 4000), at(8, 'client hangs', 0, 4000)],
    shownBy: ['stolen'],
  },
  {
    name: 'leaves the dead what they had claimed',
    changes: [
      {
        file: 'callback-leaving.ts',
        text: 'ELSE claimed_by = ANY',
        instead: 'ELSE false AND claimed_by = ANY',
      },
    ],
    faults: [at(2, 'kill', 0)],
    shownBy: ['stuck'],
  },
  {
    name: 'commits without waiting for the disk',
    changes: [
      {
        file: 'database.ts',
        text: "ELSE 'on' END, true)",
        instead: "ELSE 'off' END, true)",
      },
      {
        // Otherwise the next commit that waits would flush this one too.
        file: 'database.ts',
        text: 'statement_timeout: queryTimeoutMs,',
        instead: "statement_timeout: queryTimeoutMs, synchronous_commit: 'off',",
      },
    ],
    faults: [at(2, 'postgres crashes', 0), at(4, 'postgres crashes', 0), at(6, 'postgres crashes', 0)],
    shownBy: ['lost'],
  },
  {
    name: 'forgets what was spooled before the commit',
    changes: [
      {
        file: 'spool-drain.ts',
        text: 'const taken = await this.#takeOver(rows)',
        instead: 'await spool.forget(rows.at(-1)?.seq); const taken = await this.#takeOver(rows)',
      },
    ],
    faults: [at(2, 'refuse', 0, 2000), at(5, 'kill while draining', 1, 1000)],
    shownBy: ['lost'],
  },
  {
    name: 'makes ids without the key',
    changes: [
      {
        file: 'new-callback.ts',
        text: 'idempotencyKey === undefined ? newCallbackId()',
        instead: 'true ? newCallbackId()',
      },
    ],
    faults: [at(2, 'postgres crashes', 0, 2500), at(6, 'postgres crashes', 0, 2500)],
    shownBy: ['duplicated'],
  },
  {
    name: 'ignores other ids under a key of the same batch',
    changes: [
      {
        // This answers the second callback under a key as if it were a copy.
        file: 'callback-inbox.ts',
        text: 'if (!owner.is_same) return new IdempotencyKeyReusedError()',
        instead: '',
      },
    ],
    faults: [at(1, 'rivals', 0, 4000)],
    shownBy: ['lost', 'duplicated'],
  },
  {
    name: 'trusts the options of the URL',
    changes: [
      {
        // Two parts keep this promise: the options of the session, and each statement.
        file: 'connection.ts',
        text: "return { connectionString: bare.href, options: [...theirs, ...ours].join(' ') }",
        instead: "return { connectionString: bare.href, options: [...ours, ...theirs].join(' ') }",
      },
      {
        file: 'database.ts',
        text: "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END",
        instead: "WHEN 'remote_apply' THEN 'remote_apply' ELSE current_setting('synchronous_commit') END",
      },
    ],
    faults: [at(2, 'url weakens durability', 0, 1000), at(10, 'url weakens durability', 0, 1000)],
    shownBy: ['lost'],
  },
  {
    name: 'pauses the host for one object',
    changes: [
      {
        // This pauses the host at the first push-back, and asks no witness.
        file: 'retry-afters.ts',
        text: `if (this.hostMs(now) > 0 || this.#pushedBack.size < Math.max(HOST_OBJECTS, this.#answered)) return false
    this.#hostUntilMs = untilMs
    return true`,
        instead: `this.#hostUntilMs = untilMs
    return false`,
      },
    ],
    // Before the fault, callbacks must be as fast as usual. A slow machine needs a low rate for that.
    faults: [at(6, 'one object pushes back', 0, 4800)],
    perSecond: 30,
    shownBy: ['delayed'],
  },
  {
    name: 'compares wall clocks for liveness',
    changes: [
      {
        file: 'cluster-state.ts',
        text: 'l.pid IS NOT NULL',
        instead: 'l.pid IS NOT NULL AND w.lease_expires_at > clock_timestamp()',
      },
      {
        file: 'processing.ts',
        text: 'const SESSION_GRACE_MS = 500',
        instead: 'const SESSION_GRACE_MS = 1',
      },
    ],
    // A worker proves that it is alive only after five seconds.
    faults: [at(8, 'leases run out', 0), at(10, 'leases run out', 0)],
    shownBy: ['stolen'],
  },
  {
    name: 'answers all that one connection sends ahead at once',
    changes: [
      {
        file: 'connections.ts',
        text: 'if (connection.request || isPaused(connection)) this.#hold(',
        instead: 'if (false as boolean) this.#hold(',
      },
      { file: 'read-limit.ts', text: 'if (underWay >= max)', instead: 'if (underWay < 0)' },
    ],
    faults: [at(6, 'peers pipeline reads', 0, 4800)],
    perSecond: 30,
    shownBy: ['delayed'],
  },
  {
    name: 'lets the stream go on from the present',
    changes: [
      { file: 'workspace-feed.ts', text: 'Math.min(atUs, this.#sinceUs)', instead: '0 * atUs + this.#sinceUs' },
      // Otherwise the overlap would hide it: listeners come back within a second.
      { file: 'workspace-feed.ts', text: 'const OVERLAP_US = 1_000_000', instead: 'const OVERLAP_US = 0' },
    ],
    // Every listener loses its replica at least once.
    faults: [at(2, 'kill', 0), at(5, 'kill', 1), at(8, 'kill', 2)],
    shownBy: ['unseen'],
  },
  {
    name: 'charges for lost workers',
    changes: [
      {
        file: 'callback-leaving.ts',
        text: 'ELSE crashes + 1 END',
        instead: 'ELSE crashes END',
      },
      {
        file: 'process-callback.ts',
        text: 'if (callback.crashes >= policy.maxCrashes)',
        instead: 'if (callback.attempt > policy.maxAttempts)',
      },
    ],
    // All replicas (share 1) have fourteen short lives each, in which no answer comes.
    // There are few callbacks, so that every life claims the same ones. With 60 per second, no callback would be charged ten times.
    faults: [at(2, 'crash loop', 0, 14 * 1200)],
    perSecond: 1,
    shownBy: ['unfounded'],
  },
  {
    name: 'counts the callbacks of all workspaces',
    changes: [
      {
        file: 'ledger-reader.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a text of the sources
        text: 'Prisma.sql`workspace = ${workspace} AND ${time} >= (SELECT since FROM bounds)',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a text of the sources
        instead: 'Prisma.sql`${time} >= (SELECT since FROM bounds)',
      },
    ],
    faults: [at(1, 'kill', 0)],
    shownBy: ['miscounted'],
  },
  {
    name: 'accepts an old token',
    changes: [
      {
        // All leases of a callback have one token, and any agent may use it.
        file: 'lease-desk.ts',
        text: 'token: newToken(), callbackId: candidate.id',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a text of the sources
        instead: 'token: `${candidate.id.slice(0, 14)}7${candidate.id.slice(15)}`, callbackId: candidate.id',
      },
      {
        file: 'lease-reader.ts',
        text: 'const isAgents = agents.includes(undefined)',
        instead: 'const isAgents = agents.length > 0',
      },
      {
        file: 'lease-reader.ts',
        text: '(key.agentId === undefined || key.agentId === agentId)',
        instead: '(agentId !== undefined)',
      },
    ],
    faults: [at(2, 'strays deliver', 0), at(5, 'strays deliver', 0), at(8, 'strays deliver', 0)],
    shownBy: ['stale'],
  },
  {
    name: 'labels what is delivered by its arrival',
    changes: [
      {
        file: 'use-lease.ts',
        text: 'leftAtMs: leasedAtMs, fetchedAtMs: leasedEpochMs }',
        instead: 'leftAtMs: rooms.nowMs(), fetchedAtMs: leasedEpochMs + rooms.nowMs() - leasedAtMs }',
      },
    ],
    faults: [at(2, 'agent hangs', 0, 4000)],
    shownBy: ['stale'],
  },
  {
    name: 'drops what lapses',
    changes: [
      {
        file: 'lease-ending.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a text of the sources
        text: 'state = ${STATE_BY_WISH}, unstored = ${KEPT},',
        instead: "state = 'completed', unstored = '[]',",
      },
    ],
    faults: [at(2, 'agent is killed', 0), at(4, 'agent is killed', 1), at(6, 'agent hangs', 0, 4800)],
    shownBy: ['unaccounted', 'stuck'],
  },
  {
    name: 'leaves dead agents what they have leased',
    changes: [
      {
        file: 'lease-expiry.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a text of the sources
        text: ' OR (${IS_LIVE_LEASE}) IS NOT TRUE)',
        instead: ')',
      },
    ],
    faults: [at(2, 'agent is killed', 0), at(4, 'agent is killed', 1)],
    shownBy: ['stuck'],
  },
]

/** The faults of all mutants. The unchanged services must survive them. */
export const CONTROL: readonly Fault[] = inTurn(MUTANTS.flatMap(({ faults }) => faults))

/** Returns the duration of a run with these faults. */
export function secondsFor(faults: readonly Fault[]): number {
  return CALM_SECONDS + Math.max(2, ...faults.map(({ atMs, forMs }) => (atMs + forMs) / 1000))
}

function at(seconds: number, kind: FaultKind, replica: number, forMs = 0): Fault {
  return { kind, atMs: seconds * 1000, forMs, replica, share: 1, stepMs: 0 }
}

/** Puts the faults one after the other, 1.5 s apart. */
function inTurn(faults: readonly Fault[]): Fault[] {
  let atMs = 0
  return faults.map(fault => {
    atMs += 1500
    const turned = { ...fault, atMs }
    atMs += fault.forMs
    return turned
  })
}
