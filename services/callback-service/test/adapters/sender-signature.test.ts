import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mock } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { SenderSignature } from '../../adapters/sender-signature.ts'

const secret = () => `whsec_${randomBytes(32).toString('base64')}`

/** Signs by the text of the specification, without our own code, so that the test is independent of it. */
function signed(key: string, body: Buffer, at: number | string = Math.floor(Date.now() / 1000)): Record<string, string> {
  const mac = createHmac('sha256', Buffer.from(key.replace('whsec_', ''), 'base64'))
  mac.update(`msg_1.${at}.`).update(body)
  return { 'webhook-id': 'msg_1', 'webhook-timestamp': String(at), 'webhook-signature': `v1,${mac.digest('base64')}` }
}

interface Vectors {
  readonly secret: string
  readonly id: string
  readonly timestamp: string
  /** Bodies, each with its signature by each library. */
  readonly vectors: readonly { readonly body: string; readonly signatures: Readonly<Record<string, string>> }[]
}

/** Made by the libraries that it names, in their versions of November 2026. */
const recorded = JSON.parse(readFileSync(new URL('fixtures/signatures.json', import.meta.url), 'utf8')) as Vectors

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

  describe('with the names of Svix', () => {
    const inSvix = (headers: Readonly<Record<string, string>>): Record<string, string> =>
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.replace('webhook-', 'svix-'), value]))

    it('accepts a signature', () => assert.equal(signature.problem(body, inSvix(signed(mine, body))), undefined))

    for (const [what, headers] of cases.filter(([, { 'webhook-id': id }]) => id)) {
      it(`refuses ${what}`, () => assert.match(signature.problem(body, inSvix(headers)) ?? '', /svix-|known sender/))
    }

    for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
      it(`refuses a mix: ${name} beside a valid signature, even if it repeats the value`, () => {
        const good = signed(mine, body)
        const problem = 'It needs the headers webhook-id, webhook-timestamp and webhook-signature'
        assert.equal(signature.problem(body, { ...inSvix(good), [name]: good[name] }), problem)
        assert.equal(signature.problem(body, { ...inSvix(good), [name]: '' }), problem)
      })
    }

    it('does not look at them beside a whole set of standard headers', () => {
      const [good, bad] = [signed(mine, body), signed(stranger, body)]
      assert.equal(signature.problem(body, { ...good, ...inSvix(bad) }), undefined)
      assert.notEqual(signature.problem(body, { ...bad, ...inSvix(good) }), undefined)
    })
  })

  describe('at the time of recorded signatures', () => {
    const { secret: key, id, timestamp, vectors } = recorded
    const verifier = new SenderSignature([key])
    beforeEach(() => mock.method(Date, 'now', () => (Number(timestamp) + 299) * 1000))
    afterEach(() => mock.restoreAll())

    for (const { body: text, signatures } of vectors) {
      for (const [library, value] of Object.entries(signatures)) {
        it(`accepts ${library}: ${JSON.stringify(text)}`, () => {
          const prefix = library.includes('svix') ? 'svix' : 'webhook'
          const headers = { [`${prefix}-id`]: id, [`${prefix}-timestamp`]: timestamp, [`${prefix}-signature`]: value }
          assert.equal(verifier.problem(Buffer.from(text), headers), undefined)
          assert.notEqual(verifier.problem(Buffer.from(`${text} `), headers), undefined)
        })
      }
    }
  })

  it('refuses an empty secret, with which anybody could sign', () => {
    assert.throws(() => new SenderSignature([mine, '']), { message: 'a secret of senders is empty' })
  })

  it('refuses every signature if there is no secret', () => {
    assert.notEqual(new SenderSignature([]).problem(body, signed(mine, body)), undefined)
  })
})
