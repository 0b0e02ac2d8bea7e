import assert from 'node:assert/strict'
import { filterOf, hasState, int64Of, isSameFilter, queryOf } from '../../web/callback-filter.ts'

describe('the filter in the address', () => {
  it('is read as it was written', () => {
    const filter = { workspace: 'shop', states: ['running', 'failed'], objectId: '9007199254740993' } as const
    const query = new URLSearchParams(Object.entries(queryOf(filter)).map(([name, value]) => [name, value ?? '']))
    assert.deepEqual(filterOf(query, 'default'), filter)
  })

  it('is everything of the own workspace if it is empty', () => {
    assert.deepEqual(filterOf(new URLSearchParams(), 'shop'), { workspace: 'shop', states: [], objectId: '' })
  })

  it('ignores states that do not exist', () => {
    assert.deepEqual(filterOf(new URLSearchParams('state=failed,<b>,constructor'), 'default').states, ['failed'])
  })

  it('is the same whatever the order of its states', () => {
    const read = (text: string) => filterOf(new URLSearchParams(text), 'default')
    assert.equal(isSameFilter(read('state=failed,paused'), read('state=paused,failed')), true)
    assert.equal(isSameFilter(read('state=failed'), read('state=paused')), false)
  })

  it('without states has every state', () => {
    assert.equal(hasState({ states: [] }, { state: 'failed' }), true)
    assert.equal(hasState({ states: ['paused'] }, { state: 'failed' }), false)
  })
})

describe('int64Of', () => {
  it('keeps every digit of ids beyond 2^53', () => {
    for (const id of ['9007199254740993', '9223372036854775807', '-9223372036854775808']) assert.equal(int64Of(id), id)
  })

  it('writes an id in its usual form', () => assert.equal(int64Of(' 007 '), '7'))

  it('refuses what is no 64-bit integer', () => {
    for (const text of ['', '9223372036854775808', '1.5', '1e3', '0x1', 'id', '--1']) assert.equal(int64Of(text), undefined, text)
  })
})
