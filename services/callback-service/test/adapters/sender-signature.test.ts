import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { SenderSignature } from '../../adapters/sender-signature.ts'

const secret = () => `whsec_${randomBytes(32).toString('base64')}`

/** Signs by the text of the specification, without our own code, so that the test is independent of it. */
function signed(key: string, body: Buffer, at: number | string = Math.floor(Date.now() / 1000)): Record<string, string> {
  const mac = createHmac('sha256', Buffer.from(key.replace('whsec_', ''), 'base64'))
  mac.update(`msg_1.${at}.`).update(body)
  return { 'webhook-id': 'msg_1', 'webhook-timestamp': String(at), 'webhook-signature': `v1,${mac.digest('base64')}` }
}

describe('SenderSignature', () => {
  const [mine, older, stranger] = [secret(), secret(), secret()]
  const signature = new SenderSignature([mine, older])
  const body = Buffer.from('{"object_ids":[1,9007199254740993]} ü')

  it('accepts a signature by any of the secrets', () => {
    assert.equal(signature.problem(body, signed(mine, body)), undefined)
    assert.equal(signature.problem(body, signed(older, body)), undefined)
  })

  it('accepts one valid signature among others of any version', () => {
    const good = signed(mine, body)
    const list = `v1a,abcd v1,${'A'.repeat(43)}= nonsense ${good['webhook-signature']}`
    assert.equal(signature.problem(body, { ...good, 'webhook-signature': list }), undefined)
  })

  it('accepts a signature of the reference library', () => {
    const at = new Date()
    const text = body.toString()
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(mine).sign('msg_1', at, text),
    }
    assert.equal(signature.problem(body, headers), undefined)
  })

  it('accepts the exact bytes that are not UTF-8, and not the characters to which they decode', () => {
    const bytes = Buffer.from([0x22, 0xff, 0x22])
    assert.equal(signature.problem(bytes, signed(mine, bytes)), undefined)
    assert.notEqual(signature.problem(bytes, signed(mine, Buffer.from(bytes.toString()))), undefined)
  })

  it('accepts the sixteenth signature, and checks none if there are seventeen', () => {
    const good = signed(mine, body)
    const padded = (count: number): Record<string, string> => ({
      ...good,
      'webhook-signature': `${'v1,x '.repeat(count)}${good['webhook-signature']}`,
    })
    assert.equal(signature.problem(body, padded(15)), undefined)
    assert.match(signature.problem(body, padded(16)) ?? '', /more than 16 signatures/)
  })

  const hourAgo = Math.floor(Date.now() / 1000) - 3600
  const cases: [string, Record<string, string>][] = [
    ['another secret', signed(stranger, body)],
    ['another body', signed(mine, Buffer.from('{"object_ids":[2]}'))],
    ['another id', { ...signed(mine, body), 'webhook-id': 'msg_2' }],
    ['a time that was not signed', { ...signed(mine, body), 'webhook-timestamp': String(Math.floor(Date.now() / 1000) - 7) }],
    ['an hour ago', signed(mine, body, hourAgo)],
    ['an hour from now', signed(mine, body, hourAgo + 7200)],
    ['a time that is not a number', signed(mine, body, `${Math.floor(Date.now() / 1000)}s`)],
    ['no time', { ...signed(mine, body), 'webhook-timestamp': 'now' }],
    ['an empty signature', { ...signed(mine, body), 'webhook-signature': '' }],
    ['a version without signature', { ...signed(mine, body), 'webhook-signature': 'v1' }],
    ['no headers', {}],
  ]
  for (const [what, headers] of cases) {
    it(`refuses ${what}`, () => assert.notEqual(signature.problem(body, headers), undefined))
  }

  it('refuses an empty secret, with which anybody could sign', () => {
    assert.throws(() => new SenderSignature([mine, '']), { message: 'a secret of senders is empty' })
  })

  it('refuses every signature if there is no secret', () => {
    assert.notEqual(new SenderSignature([]).problem(body, signed(mine, body)), undefined)
  })
})
