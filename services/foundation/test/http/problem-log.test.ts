import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { pino } from 'pino'
import { ProblemLog } from '../../http/problem-log.ts'

describe('ProblemLog', () => {
  interface Line {
    readonly code: string
    readonly left_out?: number
  }

  function logTo(lines: Line[], nowMs?: () => number): ProblemLog {
    return new ProblemLog(pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) }), nowMs)
  }

  it('writes 20 lines a second at most, and says how many it has left out', () => {
    const lines: Line[] = []
    let nowMs = 0
    const log = logTo(lines, () => nowMs)
    for (let i = 0; i < 24; i += 1) log.tell({ code: 'not_found' })
    nowMs = 999
    log.tell({ code: 'not_found' })
    assert.deepEqual([lines.length, lines[0]?.code], [20, 'not_found'])
    nowMs = 1000
    log.tell({ code: 'not_found' })
    log.tell({ code: 'not_found' })
    assert.deepEqual(
      lines.slice(20).map(line => line.left_out),
      [5, undefined],
    )
  })

  it('begins with a whole second, which it takes from a clock that nobody sets', () => {
    const lines: Line[] = []
    const now = mock.method(performance, 'now', () => 5)
    try {
      const log = logTo(lines)
      for (let i = 0; i < 21; i += 1) log.tell({})
      now.mock.mockImplementation(() => 1005)
      log.tell({})
    } finally {
      now.mock.restore()
    }
    assert.deepEqual([lines.length, lines.at(-1)?.left_out], [21, 1])
  })
})
