import type { Agent } from '../../web/agents.ts'

/** Makes an agent as `GET /v1/agents` shows it. */
export function agent(changes: Partial<Agent> = {}): Agent {
  const id = changes.id ?? '01a2012d-e90a-70df-bfc6-000000000001'
  return {
    id,
    href: `/v1/agents/${id}`,
    workspace: 'shop',
    name: 'plant-7',
    description: '',
    labels: [],
    max_leases: 16,
    version: '1.0.0',
    alive: true,
    last_seen_at: '2026-11-22T03:00:00.000Z',
    callbacks: { href: `/v1/agents/${id}/callbacks`, size: 0 },
    objects_delivered: 0,
    callbacks_finished: 0,
    leases_lapsed: 0,
    created_at: '2026-11-22T02:00:00.000Z',
    archived_at: null,
    ...changes,
  }
}
