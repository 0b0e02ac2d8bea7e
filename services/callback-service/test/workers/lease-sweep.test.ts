import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Loop } from '#foundation/lifecycle/loop.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { type EndedLease, leaseSweep } from '../../workers/lease-sweep.ts'
import { logger } from './silent-logger.ts'

const LEASE = { callbackId: 'c', workspace: 'plant', agentId: 'a', attempt: 1, state: 'pending', hasLapsed: true } as EndedLease

describe('leaseSweep', () => {
  let sweep: Loop
  let left: number
  let sweeps: number
  let ended: EndedLease[]
  let hasAgents: boolean
  let isAway: boolean

  beforeEach(() => {
    ;[left, sweeps, ended] = [0, 0, []]
    ;[hasAgents, isAway] = [true, false]
    sweep = leaseSweep({
      end: async limit => {
        sweeps += 1
        if (isAway) throw new StorageUnavailableError('away')
        const now = Math.min(limit, left)
        left -= now
        return Array.from({ length: now }, () => LEASE)
      },
      onEnded: lease => ended.push(lease),
      hasAgents: () => hasAgents,
      logger,
    })
  })

  afterEach(() => sweep.stop())

  it('ends all that has lapsed, batch after batch without a rest', async () => {
    left = 1234
    const startedMs = performance.now()
    sweep.start()
    await eventually('all are ended', () => ended.length === 1234)
    assert.ok(performance.now() - startedMs < 400)
    assert.equal(sweeps, 3)
  })

  it('sweeps twice a second', async () => {
    sweep.start()
    await eventually('a sweep', () => sweeps === 1)
    const startedMs = performance.now()
    await eventually('two more', () => sweeps === 3)
    assert.ok(performance.now() - startedMs > 900)
  })

  it('goes on after trouble with the database', async () => {
    isAway = true
    sweep.start()
    await eventually('a sweep', () => sweeps > 0)
    isAway = false
    left = 1
    await eventually('it is ended', () => ended.length === 1)
  })

  it('asks the database for nothing while there are no agents', async () => {
    hasAgents = false
    sweep.start()
    await sleep(100)
    assert.equal(sweeps, 0)
    hasAgents = true
    await eventually('a sweep', () => sweeps > 0)
  })
})
