import assert from 'node:assert/strict'
import { outcomeText, type SteeredMany, steerMany, triedOf } from '../../web/steer-many.ts'
import { callback, numbersOf } from './callback-samples.ts'

const CALLBACKS = [1, 2, 3, 4].map(n => callback(n))
const conflict = Object.assign(new Error('conflict'), { code: 'callback_finished' })

describe('steerMany', () => {
  it('changes one after the other, and says how far it is', async () => {
    let underWay = 0
    const seen: number[] = []
    const result = await steerMany(
      CALLBACKS,
      async () => {
        assert.equal(++underWay, 1)
        await Promise.resolve()
        underWay--
      },
      ({ done }) => seen.push(done),
      new AbortController().signal,
    )
    assert.deepEqual([result.done, seen], [4, [0, 1, 2, 3, 4]])
  })

  it('goes on after a refusal, and counts refusals by their code', async () => {
    const result = await steerMany(
      CALLBACKS,
      async ({ id }) => {
        if (id === CALLBACKS[1]?.id) throw conflict
      },
      () => undefined,
      new AbortController().signal,
    )
    assert.equal(outcomeText('pause', result), '3 of 4 paused. Refused: 1 callback_finished.')
    assert.equal(triedOf({ ...result, refused: new Map([['callback_finished', 2]]) }), 5)
  })

  it('ends when the service does not answer', async () => {
    const asked: number[] = []
    const result = await steerMany(
      CALLBACKS,
      async one => {
        asked.push(...numbersOf([one]))
        throw new Error('The service does not answer.')
      },
      () => undefined,
      new AbortController().signal,
    )
    assert.deepEqual(asked, [1])
    assert.match(outcomeText('cancel', result), /^0 of 4 cancelled. The service did not answer then/)
  })

  it('ends after the present one when somebody stops it', async () => {
    const stop = new AbortController()
    const result: SteeredMany = await steerMany(
      CALLBACKS,
      async () => stop.abort(),
      () => undefined,
      stop.signal,
    )
    assert.equal(result.done, 1)
  })
})
