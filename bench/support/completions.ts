import { withClient } from '../../test/support/database.ts'
import { until } from '../../test/support/eventually.ts'
import { percentile } from './percentile.ts'
import type { Sent } from './sender.ts'

/** A completed callback. Times are epoch milliseconds by the database's clock. */
export interface Completion {
  readonly id: string
  readonly receivedAtMs: number
  readonly finishedAtMs: number
}

/** The completion times of sent callbacks, read from their rows. */
export class Completions {
  /** All completions, in the order of receipt. */
  readonly all: readonly Completion[]
  readonly #sortedMs: readonly number[]

  private constructor(all: readonly Completion[]) {
    this.all = all
    this.#sortedMs = all.map(one => one.finishedAtMs - one.receivedAtMs).sort((a, b) => a - b)
  }

  /** Waits until all callbacks are finished. @throws {Error} a callback was not accepted, or is not completed */
  static async of(databaseUrl: string, sent: readonly Sent[], timeoutMs = 120_000): Promise<Completions> {
    const refused = sent.filter(one => one.id === undefined)
    if (refused.length > 0) throw new Error(`${refused.length} of ${sent.length} callbacks were not accepted`)
    return withClient(databaseUrl, async db => {
      const ids = sent.map(one => one.id)
      await until(async () => {
        const { rows } = await db.query('SELECT count(*) AS left FROM callbacks WHERE id = ANY ($1) AND finished_at IS NULL', [ids])
        return rows[0].left === '0'
      }, timeoutMs)
      const { rows } = await db.query(
        `SELECT id, extract(epoch FROM received_at)::float8 * 1000 AS received, extract(epoch FROM finished_at)::float8 * 1000 AS finished
        FROM callbacks WHERE id = ANY ($1) AND state = 'completed' ORDER BY received_at`,
        [ids],
      )
      if (rows.length !== sent.length) throw new Error(`${sent.length} callbacks were sent, ${rows.length} completed`)
      return new Completions(rows.map(row => ({ id: row.id, receivedAtMs: row.received, finishedAtMs: row.finished })))
    })
  }

  /** Time from the first receipt to the last completion. */
  get tookMs(): number {
    return this.all.reduce((last, one) => Math.max(last, one.finishedAtMs), 0) - (this.all[0]?.receivedAtMs ?? 0)
  }

  /** Percentile of the time from receipt to completion. */
  percentileMs(share: number): number {
    return percentile(this.#sortedMs, share)
  }

  /** Ratio of the unfinished callbacks in the last sixth of the sending time to those in its middle third. Above 1, a backlog grows. */
  growth(seconds: number): number {
    return this.unfinishedBetween((5 * seconds) / 6, seconds) / this.unfinishedBetween(seconds / 3, (2 * seconds) / 3)
  }

  /** Average number of unfinished callbacks between two moments, in seconds since the first receipt. */
  unfinishedBetween(fromSeconds: number, toSeconds: number): number {
    const startMs = this.all[0]?.receivedAtMs ?? 0
    const [fromMs, toMs] = [startMs + fromSeconds * 1000, startMs + toSeconds * 1000]
    const inside = this.all.map(one => Math.max(0, Math.min(one.finishedAtMs, toMs) - Math.max(one.receivedAtMs, fromMs)))
    return inside.reduce((sum, ms) => sum + ms, 0) / (toMs - fromMs)
  }
}
