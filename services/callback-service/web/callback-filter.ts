import { CALLBACK_STATES, type CallbackState, type ListedCallback } from './callbacks.ts'

/** Which callbacks the table shows. It is in the hash of the address, so that a link can be shared. */
export interface CallbackFilter {
  readonly workspace: string
  /** Empty: all states. */
  readonly states: readonly CallbackState[]
  /** Decimal digits, exact. Empty: any object. */
  readonly objectId: string
}

/** Reads the query of the hash. It drops states that do not exist. */
export function filterOf(query: URLSearchParams, ownWorkspace: string): CallbackFilter {
  const named = new Set(query.get('state')?.split(','))
  return {
    workspace: query.get('workspace') || ownWorkspace,
    states: CALLBACK_STATES.filter(state => named.has(state)),
    objectId: query.get('object_id')?.trim() ?? '',
  }
}

/** Writes the query of the hash. */
export function queryOf({ workspace, states, objectId }: CallbackFilter): Record<string, string | undefined> {
  return { workspace, state: states.join(',') || undefined, object_id: objectId || undefined }
}

export function isSameFilter(a: CallbackFilter, b: CallbackFilter): boolean {
  return JSON.stringify(queryOf(a)) === JSON.stringify(queryOf(b))
}

/** Whether the state of a callback is one of those to show. Only the service knows the objects of a callback. */
export function hasState({ states }: Pick<CallbackFilter, 'states'>, { state }: Pick<ListedCallback, 'state'>): boolean {
  return states.length === 0 || states.includes(state)
}

/** Reads the id of an object: a 64-bit integer, exact beyond 2^53. @returns its usual form; undefined if it is none */
export function int64Of(text: string): string | undefined {
  if (!/^-?\d{1,19}$/.test(text.trim())) return undefined
  const value = BigInt(text.trim())
  return BigInt.asIntN(64, value) === value ? value.toString() : undefined
}
