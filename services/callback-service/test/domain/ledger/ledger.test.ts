import assert from 'node:assert/strict'
import { HOUR_MS, intervalsOf, isStep, type LedgerFacts, MINUTE_MS, type Tally, wholeIntervals } from '../../../domain/ledger/ledger.ts'

const NONE: LedgerFacts = { mergedHours: [], live: [], gone: [], answers: [] }
const tally = (fromMs: number, changes: Partial<Tally> = {}): Tally => ({
  fromMs,
  accepted: 1,
  keyed: 1,
  completed: 0,
  failed: 0,
  cancelled: 0,
  digest: 1n,
  ...changes,
})

describe('intervalsOf', () => {
  const threeMinutes = { fromMs: HOUR_MS, toMs: HOUR_MS + 3 * MINUTE_MS, stepMs: MINUTE_MS }

  it('gives every interval of the span, also those without callbacks', () => {
    const found = intervalsOf(threeMinutes, { ...NONE, live: [tally(HOUR_MS + MINUTE_MS)] })
    assert.deepEqual(
      found.map(({ fromMs, toMs, accepted }) => [fromMs - HOUR_MS, toMs - HOUR_MS, accepted]),
      [
        [0, 60_000, 0],
        [60_000, 120_000, 1],
        [120_000, 180_000, 0],
      ],
    )
  })

  it('counts as unfinished what is neither completed, failed nor cancelled', () => {
    const [interval] = intervalsOf(threeMinutes, {
      ...NONE,
      live: [tally(HOUR_MS, { accepted: 10, completed: 3, failed: 2, cancelled: 1 })],
    })
    assert.equal(interval?.unfinished, 4)
  })

  it('merges an hour that is only known as a whole, and adds its rows to what is gone', () => {
    const span = { ...threeMinutes, toMs: 3 * HOUR_MS, stepMs: 30 * MINUTE_MS }
    const found = intervalsOf(span, {
      mergedHours: [HOUR_MS],
      live: [tally(HOUR_MS), tally(HOUR_MS + 30 * MINUTE_MS), tally(2 * HOUR_MS)],
      gone: [tally(HOUR_MS, { accepted: 5, completed: 5, digest: 40n })],
      answers: [
        { fromMs: HOUR_MS, outcome: 'replayed', count: 2 },
        { fromMs: HOUR_MS + 30 * MINUTE_MS, outcome: 'replayed', count: 1 },
      ],
    })
    assert.deepEqual(
      found.map(({ fromMs, toMs, accepted, unfinished, replayed, keysDigest }) => [
        fromMs / HOUR_MS,
        toMs / HOUR_MS,
        accepted,
        unfinished,
        replayed,
        keysDigest,
      ]),
      [
        [1, 2, 7, 2, 3, '000000000000002a'],
        [2, 2.5, 1, 1, 0, '0000000000000001'],
        [2.5, 3, 0, 0, 0, '0000000000000000'],
      ],
    )
  })

  it('merges hours into a step that is longer', () => {
    const span = { fromMs: 0, toMs: 4 * HOUR_MS, stepMs: 2 * HOUR_MS }
    const found = intervalsOf(span, {
      ...NONE,
      mergedHours: [HOUR_MS, 2 * HOUR_MS],
      gone: [tally(HOUR_MS), tally(2 * HOUR_MS), tally(3 * HOUR_MS)],
    })
    assert.deepEqual(
      found.map(({ fromMs, toMs, accepted }) => [fromMs / HOUR_MS, toMs / HOUR_MS, accepted]),
      [
        [0, 2, 1],
        [2, 4, 2],
      ],
    )
  })

  it('tells replays from refusals, and refusals by their code', () => {
    const answers = [
      { fromMs: HOUR_MS, outcome: 'replayed', count: 4 },
      { fromMs: HOUR_MS, outcome: 'body_too_large', count: 2 },
      { fromMs: HOUR_MS, outcome: 'wrong_type', count: 1 },
    ]
    const [interval] = intervalsOf(threeMinutes, { ...NONE, answers })
    assert.deepEqual([interval?.replayed, interval?.refused], [4, { body_too_large: 2, wrong_type: 1 }])
  })

  it('adds digests modulo 2^64, whether the database adds them signed or unsigned', () => {
    const digestOf = (...digests: bigint[]) =>
      intervalsOf(threeMinutes, { ...NONE, live: digests.map(digest => tally(HOUR_MS, { digest })) })[0]?.keysDigest
    assert.equal(digestOf(-1n), 'ffffffffffffffff')
    assert.equal(digestOf(2n ** 64n - 1n), 'ffffffffffffffff')
    assert.equal(digestOf(2n ** 64n - 1n, 3n), '0000000000000002')
  })
})

describe('wholeIntervals', () => {
  it('widens a span to multiples of the step since 1970', () => {
    assert.deepEqual(wholeIntervals({ fromMs: 61_000, toMs: 120_001, stepMs: 60_000 }), { fromMs: 60_000, toMs: 180_000, stepMs: 60_000 })
  })
})

describe('isStep', () => {
  it('takes what divides an hour, and up to 24 whole hours', () => {
    const steps = [59, 60, 61, 90, 420, 900, 3600, 5400, 7200, 86_400, 90_000]
    assert.deepEqual(
      steps.filter(seconds => isStep(seconds * 1000)),
      [60, 90, 900, 3600, 7200, 86_400],
    )
  })
})
