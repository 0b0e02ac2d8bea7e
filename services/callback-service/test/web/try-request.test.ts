import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { type Attempt, curlOf, randomIds, requestOf, seriesOf } from '../../web/try-request.ts'

const ATTEMPT: Attempt = { ids: '1', workspace: 'default', idempotencyKey: '', waitSeconds: 0 }

describe('the request of an attempt', () => {
  it('has the ids as they were typed, with all digits', () => {
    const { body } = requestOf({ ...ATTEMPT, ids: ' 9007199254740993,-9223372036854775808\n7,, 8 ' })
    assert.equal(body, '{"object_ids":[9007199254740993,-9223372036854775808,7,8]}')
  })

  it('leaves it to the service to say what is wrong', () => {
    assert.equal(requestOf({ ...ATTEMPT, ids: 'two 3.5' }).body, '{"object_ids":[two,3.5]}')
    assert.equal(requestOf({ ...ATTEMPT, ids: '' }).body, '{"object_ids":[]}')
  })

  it('names the workspace, the key and the wait only as far as somebody chose them', () => {
    assert.deepEqual(requestOf(ATTEMPT).headers, {})
    const { path, headers } = requestOf({ ...ATTEMPT, workspace: 'a&b', idempotencyKey: 'order-17', waitSeconds: 5 })
    assert.equal(path, 'callback?workspace_id=a%26b')
    assert.deepEqual(headers, { 'Idempotency-Key': 'order-17', Prefer: 'wait=5' })
  })

  it('has an idempotency key of its own in a series', () => {
    const keysOf = (idempotencyKey: string, count: number) => seriesOf({ ...ATTEMPT, idempotencyKey }, count).map(one => one.idempotencyKey)
    assert.deepEqual(keysOf('a', 3), ['a-1', 'a-2', 'a-3'])
    assert.deepEqual(keysOf('a', 1), ['a'])
    assert.deepEqual(keysOf('', 2), ['', ''])
  })

  it('is a curl command that a shell reads as it was typed', () => {
    const attempt = { ...ATTEMPT, ids: "$(touch x) `id` 'a'", idempotencyKey: "it's $HOME" }
    const command = curlOf(attempt, 'http://localhost:9090', false).replace(/^curl/, String.raw`printf '%s\n'`)
    const words = execFileSync('sh', ['-c', command], { encoding: 'utf8' }).trimEnd().split('\n')
    assert.deepEqual(words, [
      ...['-i', '-H', 'Content-Type: application/json', '-H', "Idempotency-Key: it's $HOME"],
      ...['-d', '{"object_ids":[$(touch,x),`id`,\'a\']}', 'http://localhost:9090/callback?workspace_id=default'],
    ])
  })

  it('asks the shell for the key, where callers need one', () => {
    assert.match(curlOf(ATTEMPT, 'http://a', true), /-H "Authorization: Bearer \$KEY"/)
    assert.doesNotMatch(curlOf(ATTEMPT, 'http://a', false), /KEY/)
  })

  it('draws different ids from 1 to 100', () => {
    for (const random of [() => 0, () => 0.999999, Math.random]) {
      const ids = randomIds(20, random).split(', ').map(Number)
      assert.equal(new Set(ids).size, 20)
      assert.ok(ids.every(id => id >= 1 && id <= 100))
    }
  })
})
