import assert from 'node:assert/strict'
import { hrefOf, placeOf } from '../../web/router.ts'

describe('router', () => {
  it('reads the view, the id and the query', () => {
    const { view, id, query } = placeOf('#/callbacks/01a2?workspace=shop&state=failed')
    assert.deepEqual(
      [view, id, [...query]],
      [
        'callbacks',
        '01a2',
        [
          ['workspace', 'shop'],
          ['state', 'failed'],
        ],
      ],
    )
  })

  it('shows what is now without a hash', () => {
    for (const hash of ['', '#', '#/']) assert.deepEqual([placeOf(hash).view, placeOf(hash).id], ['now', undefined], hash)
  })

  it('reads back every place that it writes', () => {
    for (const id of ['01a2', 'a/b', 'ü 50 %', '?x=1#y', '<b>&"']) {
      const { view, id: read, query } = placeOf(hrefOf('callbacks', id, { workspace: 'a&b=c d', object_id: '9223372036854775807' }))
      assert.deepEqual([view, read, query.get('workspace'), query.get('object_id')], ['callbacks', id, 'a&b=c d', '9223372036854775807'])
    }
  })

  it('leaves empty members of the query out', () => {
    assert.equal(hrefOf('callbacks', undefined, { workspace: '', state: undefined }), '#/callbacks')
  })

  it('takes a broken escape as it is', () => {
    assert.equal(placeOf('#/callbacks/%zz').id, '%zz')
  })

  it('keeps a question mark in the query', () => {
    assert.equal(placeOf('#/callbacks?q=a?b').query.get('q'), 'a?b')
  })
})
