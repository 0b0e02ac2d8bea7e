import assert from 'node:assert/strict'
import { pino } from 'pino'
import { TroubleLog } from '../../telemetry/trouble-log.ts'

describe('TroubleLog', () => {
  let logged: object[]
  let troubles: TroubleLog

  beforeEach(() => {
    logged = []
    const logger = pino({ base: null, timestamp: false }, { write: line => logged.push(JSON.parse(line)) })
    troubles = new TroubleLog(logger, { began: 'it rains', ended: 'the sun shines' })
  })

  it('says nothing where there was no trouble', () => {
    troubles.end()
    assert.deepEqual(logged, [])
  })

  it('tells each reason once until it is over, and that once too', () => {
    for (const reason of ['drizzle', 'hail', 'drizzle', 'hail']) troubles.tell(reason, { mm: 1 })
    troubles.end()
    troubles.end()
    troubles.tell('drizzle')
    assert.deepEqual(logged, [
      { level: 40, mm: 1, reason: 'drizzle', msg: 'it rains' },
      { level: 40, mm: 1, reason: 'hail', msg: 'it rains' },
      { level: 30, msg: 'the sun shines' },
      { level: 40, reason: 'drizzle', msg: 'it rains' },
    ])
  })

  it('does not fill the log with reasons that are never the same', () => {
    for (let drop = 0; drop < 1000; drop += 1) troubles.tell(`drop ${drop}`)
    assert.equal(logged.length, 20)
  })
})
