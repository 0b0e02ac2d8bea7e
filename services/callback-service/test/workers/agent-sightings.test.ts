import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import type { Sighting } from '../../domain/agents/sightings.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { agentSightings } from '../../workers/agent-sightings.ts'
import { assignmentSweep } from '../../workers/assignment-sweep.ts'
import { logger } from './silent-logger.ts'

const SIGHTING: Sighting = { id: 'a', agoMs: 0, version: undefined, objects: 1, callbacks: 0, lapses: 0 }

describe('agentSightings', () => {
  it('writes what is new, and learns whom the others have seen', async () => {
    const written: unknown[] = []
    const learned: unknown[] = []
    const loop = agentSightings({
      hasAgents: () => true,
      take: () => [SIGHTING],
      putBack: () => assert.fail('it was written'),
      write: async sightings => {
        written.push(sightings)
        return [{ id: 'b', ago_ms: 5 }]
      },
      learn: (id, agoMs) => learned.push([id, agoMs]),
      logger,
    })
    loop.start()
    await eventually('it has learned of another', () => learned.length > 0)
    await loop.stop()
    assert.deepEqual([written, learned], [[[SIGHTING]], [['b', 5]]])
  })

  it('asks the database for nothing while there is no agent', async () => {
    let passes = 0
    const loop = agentSightings({
      hasAgents: () => {
        passes += 1
        return false
      },
      take: () => [],
      putBack: () => undefined,
      write: () => assert.fail('there is nothing to write'),
      learn: () => undefined,
      logger,
    })
    loop.start()
    await eventually('it has looked', () => passes > 0)
    await loop.stop()
  })

  it('keeps what could not be written', async () => {
    const kept: unknown[] = []
    const loop = agentSightings({
      hasAgents: () => true,
      take: () => [SIGHTING],
      putBack: sightings => kept.push(sightings),
      write: () => Promise.reject(new StorageUnavailableError('away')),
      learn: () => undefined,
      logger,
    })
    loop.start()
    await eventually('it has tried', () => kept.length > 0)
    await loop.stop()
    assert.deepEqual(kept[0], [SIGHTING])
  })
})

describe('assignmentSweep', () => {
  it('drops what is assigned to archived agents, and does nothing without any', async () => {
    const archived: string[] = []
    const dropped: unknown[] = []
    const loop = assignmentSweep({
      archived: () => [...archived],
      drop: async agents => {
        dropped.push(agents)
      },
      logger,
    })
    loop.start()
    loop.wake()
    archived.push('a')
    await eventually('it has dropped', () => {
      loop.wake()
      return dropped.length > 0
    })
    await loop.stop()
    assert.ok(dropped.every(agents => String(agents) === 'a'))
  })
})
