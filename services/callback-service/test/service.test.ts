import assert from 'node:assert/strict'
import { pino } from 'pino'
import { Settings } from '#foundation/config.ts'
import { schema } from '../config.ts'
import { parts } from '../service.ts'

describe('the parts of the callback service', () => {
  it('end with the admin port and the port for senders: what senders use starts last and stops first, and metrics outlive it', () => {
    const settings = new Settings(schema, { argv: [], env: { DATABASE_URL: 'postgresql://u:p@127.0.0.1:1/none' } })
    const names = parts({ settings, logger: pino({ level: 'silent' }) }).map(({ name }) => name)
    assert.deepEqual(names.slice(-2), ['admin', 'http'])
  })
})
