import assert from 'node:assert/strict'
import { pino } from 'pino'
import { eventually } from '../../../../test/support/eventually.ts'
import { AnswerCounts, type AnswerTotal } from '../../domain/ledger/answer-counts.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { AnswerLedger } from '../../workers/answer-ledger.ts'

describe('AnswerLedger', () => {
  /** @param results what each write throws; undefined for a success, which is also what follows the last one */
  function setup(results: (Error | undefined)[] = []) {
    const counts = new AnswerCounts(() => 0)
    const written: number[][] = []
    const logged: string[] = []
    const ledger = new AnswerLedger({
      counts,
      write: async (totals: readonly AnswerTotal[]) => {
        written.push(totals.map(({ count }) => count))
        const error = results.shift()
        if (error) throw error
      },
      logger: pino({ level: 'warn' }, { write: line => logged.push(JSON.parse(line).msg) }),
    })
    return { counts, written, logged, ledger }
  }

  it('writes again what may not have been written', async () => {
    const { counts, written, ledger } = setup([new StorageUnavailableError('the outcome is unknown')])
    counts.note('shop', 'replayed', 0)
    ledger.start()
    await eventually('both tries', () => written.length === 2)
    await ledger.stop()
    assert.deepEqual(written, [[1], [1]])
  })

  it('writes the rest when it stops, in batches', async () => {
    const { counts, written, ledger } = setup()
    for (let minute = 0; minute < 2500; minute += 1) counts.note('shop', 'replayed', minute * 60_000)
    await ledger.stop()
    assert.deepEqual(
      written.map(({ length }) => length),
      [1000, 1000, 500],
    )
  })

  it('stops and says what is missing while the database is away', async () => {
    const { counts, logged, ledger } = setup([new StorageUnavailableError('down')])
    counts.note('shop', 'replayed', 0)
    await ledger.stop()
    assert.deepEqual(logged, ['answers of the last seconds are missing in the ledger'])
  })

  it('says that answers are missing when there were too many', async () => {
    const { counts, logged, ledger } = setup()
    for (let minute = 0; minute < 20_001; minute += 1) counts.note('shop', 'replayed', minute * 60_000)
    await ledger.stop()
    assert.deepEqual(logged, ['answers are missing in the ledger: too many, or for too long, could not be written'])
  })

  it('asks the database nothing if nothing was counted', async () => {
    const { written, ledger } = setup()
    await ledger.stop()
    assert.deepEqual(written, [])
  })
})
