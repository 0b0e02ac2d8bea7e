import Type from 'typebox'
import { exactJson } from '#foundation/http/answer.ts'
import { CALLBACK_STATES } from '../../domain/callback.ts'
import { MAX_PRIORITY, MIN_PRIORITY } from '../../domain/steering/change.ts'
import { etaMs, OPERATION_STATES, type Operation, type OperationFilter } from '../../domain/steering/operation.ts'
import { MAX_RATE, MIN_RATE } from '../../domain/steering/operation-pace.ts'
import { CHANGE_KINDS, REASON, RETRIED_OBJECTS, RETRY_PRIORITY } from '../../domain/steering/parse-operation.ts'
import { DEFAULT_WORKSPACE } from '../../domain/workspaces/workspace.ts'
import { EXAMPLE_ID, EXAMPLE_TIME, Int64, Int64Text, Time, Uuid } from '../schemas.ts'

const Priority = Type.Integer({ minimum: MIN_PRIORITY, maximum: MAX_PRIORITY })
const Rate = Type.Union([Type.Number({ minimum: MIN_RATE, maximum: MAX_RATE }), Type.Null()], {
  description: 'Callbacks that it changes a second, over all replicas. Null: no limit.',
})

const FILTER = {
  state: Type.Optional(Type.Enum([...CALLBACK_STATES])),
  reason: Type.Optional(Type.String({ pattern: REASON.source, description: 'At least one object of the callback has this reason.' })),
  received_after: Type.Optional(Time),
  received_before: Type.Optional(Time),
}

export const NewOperationSchema = Type.Object(
  {
    kind: Type.Enum([...CHANGE_KINDS]),
    filter: Type.Optional(
      Type.Object(
        {
          ...FILTER,
          object_id: Type.Optional(
            Type.Union([Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }), Int64Text]),
          ),
        },
        {
          additionalProperties: false,
          description: 'Absent: all callbacks that can be changed so. A retry without `state` means `failed`.',
        },
      ),
    ),
    dry_run: Type.Optional(Type.Boolean({ description: 'It only counts.' })),
    rate_per_second: Type.Optional(Rate),
    priority: Type.Optional(
      Type.Union([Priority, Type.Null()], {
        description: `Of prioritise and retry. A retry without it gives the callbacks ${RETRY_PRIORITY}; null lets them keep theirs.`,
      }),
    ),
    objects: Type.Optional(
      Type.Enum([...RETRIED_OBJECTS], { description: 'Of retry: which objects are fetched again. Absent: `missing`.' }),
    ),
  },
  { additionalProperties: false },
)

export const OperationSchema = Type.Object(
  {
    kind: Type.Literal('Operation'),
    id: Uuid,
    href: Type.String(),
    workspace: Type.String({ description: 'The name of its workspace.' }),
    change: Type.Object(
      {
        kind: Type.Enum([...CHANGE_KINDS]),
        priority: Type.Optional(Priority),
        objects: Type.Optional(Type.Enum([...RETRIED_OBJECTS])),
      },
      { additionalProperties: false, description: 'What it does to each callback.' },
    ),
    filter: Type.Object({ ...FILTER, object_id: Type.Optional(Int64) }, { additionalProperties: false }),
    state: Type.Enum([...OPERATION_STATES]),
    dry_run: Type.Boolean(),
    matched: Type.Integer({ minimum: 0, description: 'Callbacks that it found while counting.' }),
    done: Type.Integer({ minimum: 0, description: 'Callbacks that it has changed.' }),
    skipped: Type.Integer({ minimum: 0, description: 'Callbacks that no longer matched when it came to them. 0 until it is completed.' }),
    rate_per_second: Rate,
    eta_ms: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
      description: 'Time until it is completed, at the longest. Null: unknown, or it has ended.',
    }),
    created_at: Time,
    finished_at: Type.Optional(Time),
  },
  { additionalProperties: false },
)

/** @param query what leads to the workspace of the operation (`workspaceQuery`) */
export function hrefOfOperation(id: string, query = ''): string {
  return `/v1/operations/${id}${query}`
}

/** Writes an operation as JSON, with the exact id of an object. */
export function operationText(operation: Operation, query: string): string {
  const { id, workspace, change, filter, state, isDryRun, matched, done, skipped, ratePerSecond, createdAt, finishedAt } = operation
  return exactJson({
    kind: 'Operation',
    id,
    href: hrefOfOperation(id, query),
    workspace,
    change,
    filter: filterBody(filter),
    state,
    dry_run: isDryRun,
    matched,
    done,
    skipped,
    rate_per_second: ratePerSecond,
    eta_ms: etaMs(operation),
    created_at: createdAt,
    finished_at: finishedAt ?? undefined,
  })
}

function filterBody({ state, reason, objectId, receivedAfter, receivedBefore }: OperationFilter): object {
  return { state, reason, object_id: objectId, received_after: receivedAfter, received_before: receivedBefore }
}

export const EXAMPLE_OPERATION = {
  kind: 'Operation',
  id: EXAMPLE_ID,
  href: hrefOfOperation(EXAMPLE_ID),
  workspace: DEFAULT_WORKSPACE,
  change: { kind: 'retry', objects: 'missing', priority: RETRY_PRIORITY },
  filter: { state: 'failed', reason: 'http_500' },
  state: 'running',
  dry_run: false,
  matched: 1200,
  done: 200,
  skipped: 0,
  rate_per_second: 50,
  eta_ms: 20_000,
  created_at: EXAMPLE_TIME,
}
