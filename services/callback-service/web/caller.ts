import { ask, Problem, Unreachable } from './api.ts'
import { accessKey, session } from './session.ts'
import { Store } from './store.ts'

/** Who the service takes us for (`GET /page/caller`). */
export interface Caller {
  readonly role: 'send' | 'read' | 'manage' | 'agent' | 'superuser'
  /** The workspace of the key. Null: any. */
  readonly workspace: string | null
}

/** Undefined: nobody yet, or the key does not count any more. */
export const caller = new Store<Caller | undefined>(undefined)

/** Why the page needs another key; undefined: it has had none. */
export const refusal = new Store<string | undefined>(undefined)

/** Whether the caller may change callbacks of a workspace. While nobody knows the caller, it is true: the service decides anyway. */
export function mayManage(who: Caller | undefined, workspace: string): boolean {
  return !who || who.role === 'superuser' || (who.role === 'manage' && who.workspace === workspace)
}

/** Whether the caller may follow changes and see fetches. A key to send may look at single callbacks alone, and one of an agent at none. */
export function mayRead(who: Caller | undefined, workspace: string): boolean {
  return !who || who.role === 'superuser' || ((who.role === 'read' || who.role === 'manage') && who.workspace === workspace)
}

/** Takes a key that the operator typed. @returns whether the service knows it; `refusal` says why not */
export async function takeKey(key: string): Promise<boolean> {
  refusal.set(undefined)
  accessKey.set(key)
  await findCaller()
  return caller.value !== undefined
}

/** Forgets the key, so that the page asks for one. */
export function forgetKey(): void {
  accessKey.set('')
  caller.set(undefined)
  refusal.set(undefined)
}

/** Finds out whether the key still counts. While nobody can say it, everything stays as it is. */
export async function findCaller(): Promise<void> {
  const needsKey = session.value?.needs_key
  if (needsKey === undefined) return
  // A key that nobody needs any more may be one that nobody knows.
  if (!needsKey && accessKey.value !== '') accessKey.set('')
  // The caller may be one whom the process before took without a key.
  if (needsKey && accessKey.value === '') return caller.set(undefined)
  const asked = accessKey.value
  try {
    const { role, workspace } = await ask<Caller>('page/caller')
    if (asked !== accessKey.value) return
    if (caller.value?.role !== role || caller.value.workspace !== workspace) caller.set({ role, workspace })
    refusal.set(undefined)
  } catch (error) {
    if (asked === accessKey.value) refused(error)
  }
}

function refused(error: unknown): void {
  if (error instanceof Problem && error.status === 401) {
    refusal.set(
      caller.value ? 'The key no longer works: it was revoked, or it has expired.' : `The service refuses the key. ${error.message}`,
    )
    accessKey.set('')
    caller.set(undefined)
  } else if (!caller.value && (error instanceof Problem || error instanceof Unreachable)) {
    refusal.set(error.message)
  } else if (!(error instanceof Problem || error instanceof Unreachable)) {
    throw error
  }
}
