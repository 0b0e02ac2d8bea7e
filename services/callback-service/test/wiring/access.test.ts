import assert from 'node:assert/strict'
import { pino } from 'pino'
import { Settings } from '#foundation/config/settings.ts'
import { onlyDefault } from '../../../../test/support/only-default.ts'
import { schema } from '../../config.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import { access } from '../../wiring/access.ts'

const SECRET = 'A'.repeat(32)
const logger = pino({ level: 'silent' })

describe('the signatures of workspaces', () => {
  function joined(secrets: string) {
    const { current } = new Settings(schema, { argv: [], env: { DATABASE_URL: 'postgresql://a', SENDERS_SECRETS: secrets } })
    return access({
      config: current,
      directory: onlyDefault,
      clock: { nowMs: Date.now },
      replicas: () => 1,
      waitSeconds: () => 0,
      logger,
    })
  }

  it('are those of the settings, unless the workspace has secrets of its own', () => {
    const { signatureOf, isSigned } = joined(SECRET)
    const shop = { ...BUILT_IN_DEFAULT, name: 'shop', signingSecrets: ['B'.repeat(32)] }
    assert.equal(isSigned, true)
    assert.ok(signatureOf(BUILT_IN_DEFAULT))
    assert.notEqual(signatureOf(shop), signatureOf(BUILT_IN_DEFAULT))
    assert.equal(signatureOf(shop), signatureOf(shop))
    assert.notEqual(signatureOf({ ...shop }), signatureOf(shop))
  })

  it('are not needed without secrets', () => {
    const { signatureOf, isSigned } = joined('')
    assert.deepEqual([isSigned, signatureOf(BUILT_IN_DEFAULT)], [false, undefined])
    assert.ok(signatureOf({ ...BUILT_IN_DEFAULT, signingSecrets: [SECRET] }))
  })
})
