import type { Workspace } from './workspace.ts'

/** The roles of keys for people and senders. */
export const WORKSPACE_ROLES = ['send', 'read', 'manage'] as const

/** The roles that a key of a workspace can have. A key with the role `agent` belongs to one agent. */
export const KEY_ROLES = [...WORKSPACE_ROLES, 'agent'] as const

export type KeyRole = (typeof KEY_ROLES)[number]

/** What a caller may do. A superuser may do everything in every workspace. */
export type Role = KeyRole | 'superuser'

/** Who sent a request, and the workspace that the request is about. */
export interface Caller {
  readonly role: Role
  readonly workspace: Workspace
  /** Undefined: the caller is a superuser, or needs no key because the access is open. */
  readonly key: KnownKey | undefined
}

/** A key as this process knows it. The key itself is known to its owner only. */
export interface KnownKey {
  readonly id: string
  readonly workspace: string
  readonly role: KeyRole
  /** SHA-256 of the key. */
  readonly hash: Buffer
  readonly expiresAt: Date | null
  /** The agent that has it, if its role is `agent`. */
  readonly agentId: string | null
}
