import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { keyUses } from '../../workers/key-uses.ts'
import { logger } from './silent-logger.ts'

describe('keyUses', () => {
  it('writes the uses, and tries those again that could not be written', async () => {
    const used = new Set(['a', 'b'])
    const written: (readonly string[])[] = []
    let tries = 0
    const loop = keyUses({
      take: () => {
        const taken = [...used]
        used.clear()
        return taken
      },
      putBack: id => void used.add(id),
      write: async ids => {
        tries += 1
        if (tries === 1) throw new StorageUnavailableError('away')
        written.push(ids)
      },
      logger,
    })
    loop.start()
    await eventually('the uses are written', () => written.length > 0)
    await loop.stop()
    assert.deepEqual([written, used.size], [[['a', 'b']], 0])
  })

  it('asks the database nothing if no key was used', async () => {
    let taken = 0
    const loop = keyUses({
      take: () => {
        taken += 1
        return []
      },
      putBack: () => assert.fail('nothing failed'),
      write: () => assert.fail('nothing was used'),
      logger,
    })
    loop.start()
    await eventually('it has looked', () => taken > 0)
    await loop.stop()
  })
})
