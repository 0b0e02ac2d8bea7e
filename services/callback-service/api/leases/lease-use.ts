import type { Request } from 'express'
import Type from 'typebox'
import { pathParameter } from '#foundation/http/query.ts'
import type { CallbackState } from '../../domain/callback.ts'
import type { LeaseKey } from '../../domain/leasing/held-lease.ts'
import type { Lease } from '../../domain/leasing/lease.ts'
import type { LeaseEnding } from '../../domain/leasing/lease-verdict.ts'
import type { DeliveredObject } from '../../domain/leasing/parse-delivery.ts'
import type { Delivered } from '../../domain/leasing/use-lease.ts'
import { callerOf } from '../gates/caller-of.ts'
import { UUID, Uuid } from '../schemas.ts'
import { nothingHere } from '../workspaces/subject.ts'

/** What agents do with their leases. Each use renews the lease. Any replica can serve it. */
export interface LeaseUses {
  /** @param seconds Absent: the time that each use gives. @throws {LeaseLostError} */
  renew(key: LeaseKey, seconds?: number): Promise<Lease>
  /** The objects are on the disk when this resolves. @throws {LeaseLostError} @throws {NotWantedError} @throws {OverloadedError} */
  deliver(key: LeaseKey, objects: readonly DeliveredObject[]): Promise<Delivered>
  /** @returns the state that the callback got @throws {LeaseLostError} @throws {NotWantedError} @throws {ObjectsMissingError} */
  end(key: LeaseKey, ending: LeaseEnding): Promise<CallbackState>
}

/** What all routes of one lease have in common. */
export const ONE_LEASE = { access: 'agent', limits: 'none', params: Type.Object({ token: Uuid }), query: Type.Object({}) } as const

/** A lease is a secret of its agent. */
export const NO_STORE = { 'Cache-Control': 'no-store' } as const
export const NoStore = Type.Literal('no-store')

/** The problems of a request about one lease. */
export const LEASE_PROBLEMS = ['invalid_parameter', 'lease_lost', 'storage_unavailable'] as const

/** Returns which lease a request is about. It may not exist. @throws {HttpProblem} not_found: no lease has such a token */
export function leaseKeyOf(request: Request): LeaseKey {
  const token = pathParameter(request, 'token')
  if (!UUID.test(token)) throw nothingHere()
  const { key, workspace } = callerOf(request)
  return { token: token.toLowerCase(), workspace: workspace.name, agentId: key?.agentId ?? undefined }
}
