import { createHash, randomBytes } from 'node:crypto'
import type { Directory } from '../../../api/gates/authorize.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import type { KeyRole, KnownKey } from '../../../domain/workspaces/caller.ts'
import { BUILT_IN_DEFAULT } from '../../../domain/workspaces/default-workspace.ts'
import { type Limits, NO_LIMITS, type Workspace } from '../../../domain/workspaces/workspace.ts'

/** A directory whose database is a pair of maps. What is added is known at once; what is `hidden` is known after a refresh. */
export class DirectoryInMemory implements Directory {
  isDatabaseAway = false
  refreshes = 0
  readonly usedKeys: string[] = []
  readonly #workspaces = new Map<string, Workspace>([['default', BUILT_IN_DEFAULT]])
  readonly #keys = new Map<string, KnownKey>()
  readonly #hidden = new Map<string, KnownKey>()
  readonly #hiddenWorkspaces: string[] = []
  readonly #listeners: (() => void)[] = []

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  addWorkspace(name: string, changes: Partial<Omit<Workspace, 'limits'>> & { readonly limits?: Partial<Limits> } = {}): void {
    const limits = { ...NO_LIMITS, ...changes.limits }
    this.#workspaces.set(name, { ...BUILT_IN_DEFAULT, ...changes, name, limits })
  }

  hideWorkspace(name: string): void {
    this.#hiddenWorkspaces.push(name)
  }

  /** @returns the key itself */
  addKey(
    workspace: string,
    role: KeyRole,
    { expiresAt = null as Date | null, isHidden = false, agentId = null as string | null } = {},
  ): string {
    const key = newKey(workspace)
    const hash = createHash('sha256').update(key).digest()
    const keys = isHidden ? this.#hidden : this.#keys
    keys.set(hash.toString('hex'), { id: `key-${this.#keys.size}`, workspace, role, hash, expiresAt, agentId })
    return key
  }

  revoke(key: string): void {
    this.#keys.delete(createHash('sha256').update(key).digest('hex'))
    for (const listener of this.#listeners) listener()
  }

  find(name: string): Workspace | undefined {
    return this.#workspaces.get(name)
  }

  keyWithHash(hash: Buffer): KnownKey | undefined {
    return this.#keys.get(hash.toString('hex'))
  }

  async refresh(): Promise<void> {
    this.refreshes += 1
    if (this.isDatabaseAway) throw new StorageUnavailableError('the database is away')
    this.reveal()
  }

  /** Makes what is hidden known. */
  reveal(): void {
    for (const [hash, key] of this.#hidden) this.#keys.set(hash, key)
    for (const name of this.#hiddenWorkspaces) this.addWorkspace(name)
  }

  used(keyId: string): void {
    this.usedKeys.push(keyId)
  }
}

/** Makes a key that nobody knows. */
export function newKey(workspace: string): string {
  return `ab_${workspace}_${randomBytes(32).toString('base64url')}`
}
