import type { Role } from './caller.ts'

/** What somebody may do with a workspace. */
export type Permission = 'send' | 'follow' | 'read' | 'manage' | 'agent' | 'superuser'

const PERMISSIONS: Readonly<Record<Role, ReadonlySet<string>>> = {
  send: new Set<Permission>(['send', 'follow']),
  read: new Set<Permission>(['follow', 'read']),
  manage: new Set<Permission>(['send', 'follow', 'read', 'manage']),
  agent: new Set<Permission>(['agent']),
  superuser: new Set<Permission>(['send', 'follow', 'read', 'manage', 'agent', 'superuser']),
}

/** Whether a role may use what needs this access. No role may use what only operators may. */
export function mayUse(role: Role, access: string): boolean {
  return PERMISSIONS[role].has(access)
}
