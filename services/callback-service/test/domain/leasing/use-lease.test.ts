import assert from 'node:assert/strict'
import { LeaseLostError } from '../../../domain/leasing/lease-errors.ts'
import { deliver, endLease, type LeaseRooms } from '../../../domain/leasing/use-lease.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { heldLease } from './held.ts'

const KEY = { token: heldLease().lease.token, workspace: 'default', agentId: 'agent-1' }

function roomsWith(changes: Partial<LeaseRooms['leases']> & { readonly store?: LeaseRooms['store'] } = {}) {
  const told: string[] = []
  const { store = async () => undefined, ...leases } = changes
  const rooms: LeaseRooms = {
    leases: {
      read: async () => heldLease(),
      mark: async () => ({ wanted: 0, expiresAt: new Date(0) }),
      end: async () => 'completed',
      ...leases,
    },
    store,
    keepsOffline: () => true,
    policy: { maxAttempts: 3, backoff: { baseMs: 1, maxMs: 1 }, random: () => 0 },
    agents: {
      seen: id => told.push(`${id} seen`),
      delivered: (id, count) => told.push(`${id} delivered ${count}`),
      finished: id => told.push(`${id} finished`),
    },
    emit: ({ event }) => told.push(event),
    nowMs: () => 6000,
  }
  return { rooms, told }
}

describe('the use of a lease', () => {
  it('labels what is delivered with the moment of the lease', async () => {
    const stored: unknown[] = []
    const { rooms } = roomsWith({ store: async object => void stored.push(object) })
    await deliver(rooms, KEY, [{ id: 1n, online: false }])
    assert.deepEqual(stored, [{ id: 1n, online: false, leftAtMs: 5000, fetchedAtMs: 1000 }])
  })

  it('answers only when the last object is stored or not, so that nothing goes on after the answer', async () => {
    const slow = Promise.withResolvers<void>()
    const { rooms } = roomsWith({ store: ({ id }) => (id === 1n ? Promise.reject(new StorageUnavailableError('full')) : slow.promise) })
    let hasAnswered = false
    const answer = deliver(
      rooms,
      KEY,
      [1n, 2n].map(id => ({ id, online: true })),
    ).finally(() => {
      hasAnswered = true
    })
    const refused = assert.rejects(answer, StorageUnavailableError)
    await new Promise(setImmediate)
    assert.equal(hasAnswered, false)
    slow.resolve()
    await refused
  })

  it('notes that an agent lives, also if its lease is over', async () => {
    const { rooms, told } = roomsWith({ read: async () => undefined })
    await assert.rejects(deliver(rooms, KEY, [{ id: 1n, online: true }]), LeaseLostError)
    assert.deepEqual(told, ['agent-1 seen'])
  })

  it('counts no callback as finished that went back', async () => {
    const { rooms, told } = roomsWith({ end: async () => 'paused' })
    await endLease(rooms, KEY, { kind: 'give_back', unstored: [], isCharged: false, retryAfterMs: 0 })
    assert.deepEqual(told, ['agent-1 seen', 'settled'])
  })

  it('gives up on a finish, which can be repeated, if the agent never stops delivering', async () => {
    let verdicts = 0
    const { rooms, told } = roomsWith({
      end: async () => {
        verdicts += 1
        return undefined
      },
    })
    await assert.rejects(endLease(rooms, KEY, { kind: 'fail', unstored: [], reason: 'http_500' }), StorageUnavailableError)
    assert.deepEqual([verdicts, told.includes('settled')], [10, false])
  })
})
