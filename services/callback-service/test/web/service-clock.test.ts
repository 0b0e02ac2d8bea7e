import assert from 'node:assert/strict'
import { serviceNow, setServiceTime } from '../../web/service-clock.ts'

const inMs = (ms: number) => new Date(Date.now() + ms).toISOString()
const offsetMs = () => serviceNow() - Date.now()

describe('the clock of the service', () => {
  afterEach(() => setServiceTime(inMs(0)))

  it('is that of the browser while both are right, however long an answer took', () => {
    setServiceTime(inMs(-900))
    assert.ok(Math.abs(offsetMs()) < 10)
  })

  it('is known where the clock of the browser is an hour wrong', () => {
    setServiceTime(inMs(-3_600_000))
    assert.ok(Math.abs(offsetMs() + 3_600_000) < 100)
    setServiceTime(inMs(3_600_000))
    assert.ok(Math.abs(offsetMs() - 3_600_000) < 100)
  })
})
