import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import { Followed } from '../../web/followed.ts'

describe('Followed', () => {
  let followed: Followed<string>
  let answer: string | Error
  let reads: number
  let isHidden: boolean

  beforeEach(() => {
    answer = 'first'
    reads = 0
    isHidden = false
    followed = new Followed(
      async () => {
        reads += 1
        if (answer instanceof Error) throw answer
        return answer
      },
      () => isHidden,
    )
  })
  afterEach(() => followed.stop())

  it('reads at once, and again when somebody has changed something', async () => {
    followed.start()
    await eventually('it is read', () => followed.view.value.value === 'first')
    answer = 'second'
    followed.refresh()
    await eventually('it is read again', () => followed.view.value.value === 'second')
  })

  it('keeps what it has while the service is away, and says why', async () => {
    followed.start()
    await eventually('it is read', () => followed.view.value.value === 'first')
    answer = Object.assign(new Error('away'), { status: 503 })
    followed.refresh()
    await eventually('it says so', () => followed.view.value.problem === 'away')
    assert.equal(followed.view.value.value, 'first')
    assert.equal(followed.view.value.isMissing, false)
  })

  it('says that there is no such thing', async () => {
    answer = Object.assign(new Error('not found'), { status: 404 })
    followed.start()
    await eventually('it says so', () => followed.view.value.isMissing)
  })

  it('reads nothing while nobody looks', async () => {
    isHidden = true
    followed.start()
    followed.refresh()
    await new Promise(setImmediate)
    assert.equal(reads, 0)
    isHidden = false
    followed.refresh()
    await eventually('it is read', () => followed.view.value.value === 'first')
  })

  it('shows nothing that comes after its end', async () => {
    followed.start()
    followed.stop()
    await new Promise(setImmediate)
    assert.equal(reads, 1)
    assert.equal(followed.view.value.value, undefined)
  })
})
