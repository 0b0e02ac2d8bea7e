import assert from 'node:assert/strict'
import { OperationSteps } from '../../../adapters/postgres/operation-steps.ts'
import { OperationStore } from '../../../adapters/postgres/operation-store.ts'
import type { Change } from '../../../domain/steering/change.ts'
import type { NewOperation, Operation, OperationFilter } from '../../../domain/steering/operation.ts'
import type { TestStorage } from './test-storage.ts'

export const RETRY: Change = { kind: 'retry', objects: 'missing', priority: -10 }
const EVERYTHING: OperationFilter = {
  state: undefined,
  reason: undefined,
  objectId: undefined,
  receivedAfter: undefined,
  receivedBefore: undefined,
}

/** Makes what an API asks for: without a rate, unless `changes` has one. */
export function asked(
  change: Change,
  filter: Partial<OperationFilter> = {},
  changes: Partial<Omit<NewOperation, 'change' | 'filter'>> = {},
): NewOperation {
  return { change, filter: { ...EVERYTHING, ...filter }, isDryRun: false, ratePerSecond: null, ...changes }
}

/** Makes the store and the steps of one replica. */
export function newReplica(storage: TestStorage) {
  const { prisma } = storage.open()
  return { store: new OperationStore({ work: prisma, read: prisma, defaultRate: 50 }), steps: new OperationSteps(prisma) }
}

/** Inserts `count` callbacks in a state, received an hour ago. @returns their ids, in order */
export async function putCallbacks(
  storage: TestStorage,
  count: number,
  { state = 'failed', workspace = 'default', reason = 'timeout' }: { state?: string; workspace?: string; reason?: string } = {},
): Promise<string[]> {
  const rows = await storage.query<{ id: string }>(
    `INSERT INTO callbacks (id, workspace, state, object_ids, attempts, received_at, due_at, finished_at, unstored, claimed_by)
     SELECT gen_random_uuid(), $2, $3::text::callback_state, ARRAY[i], 3, now() - interval '1 hour', now() - interval '1 hour',
       CASE WHEN $3 IN ('failed', 'completed', 'cancelled') THEN now() - interval '1 minute' END,
       jsonb_build_array(jsonb_build_object('id', i::text, 'outcome', 'failed', 'reason', $4::text)), CASE $3 WHEN 'running' THEN 1 END
     FROM generate_series(1, $1::int) AS i RETURNING id`,
    [count, workspace, state, reason],
  )
  return rows.map(({ id }) => id).toSorted()
}

export async function statesOf(storage: TestStorage): Promise<Record<string, number>> {
  const rows = await storage.query<{ state: string; count: number }>('SELECT state, count(*)::int FROM callbacks GROUP BY 1 ORDER BY 1')
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
}

/** Does steps until none is due. @param looks callbacks that each step looks at @returns the operation as the last step left it */
export async function runSteps(steps: OperationSteps, looks = 7, most = 10_000): Promise<Operation | undefined> {
  let last: Operation | undefined
  for (let i = 0; i < most; i += 1) {
    const { operation } = await steps.due()
    if (!operation) return last
    last = (await steps.step(operation, looks))?.operation ?? last
  }
  assert.equal(most < 10_000, true, 'the operation does not end')
  return last
}

/** Does steps until the operation is as `isThere` says. @throws {AssertionError} it never is */
export async function stepsUntil(
  { store, steps }: ReturnType<typeof newReplica>,
  id: string,
  isThere: (operation: Operation) => boolean,
): Promise<void> {
  for (let i = 0; i < 1000; i += 1) {
    const operation = await store.find('default', id)
    if (operation && isThere(operation)) return
    await runSteps(steps, 7, 1)
  }
  assert.fail('the operation does not get there')
}
