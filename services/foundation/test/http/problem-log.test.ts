import assert from 'node:assert/strict'
import { pino } from 'pino'
import { ProblemLog } from '../../http/problem-log.ts'

describe('ProblemLog', () => {
  it('writes 20 lines a second at most, and says how many it has left out', () => {
    const lines: { code: string; left_out?: number }[] = []
    let nowMs = 0
    const log = new ProblemLog(pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) }), () => nowMs)
    for (let i = 0; i < 25; i += 1) log.tell({ code: 'not_found' })
    assert.equal(lines.length, 20)
    nowMs = 1000
    log.tell({ code: 'not_found' })
    log.tell({ code: 'not_found' })
    assert.deepEqual(
      lines.slice(20).map(line => line.left_out),
      [5, undefined],
    )
  })
})
