import { createHash } from 'node:crypto'
import type { SentCallback, StoredCallback } from './history.ts'
import { Origins } from './origins.ts'

/** An interval of the ledger of one workspace, as `GET /v1/ledger` shows it. */
export interface Interval {
  readonly workspace: string
  readonly from: string
  readonly to: string
  readonly accepted: number
  readonly keyed: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  readonly unfinished: number
  readonly keys_digest: string
}

/** A callback that must be in the ledger: when it was received, its key if it still has it, and its state. */
interface Entry {
  readonly workspace: string
  readonly atMs: number
  readonly key: string | null
  readonly state: string | undefined
}

/**
 * Compares the ledger with what the senders know: the callbacks that were answered with 202, at the time that the answer said. Of a callback whose
 * time or existence is uncertain, the row decides whether and when it was received.
 */
export function checkLedger(sent: readonly SentCallback[], rows: readonly StoredCallback[], ledger: readonly Interval[]): string[] {
  const minutes = Map.groupBy(entriesOf(sent, rows), ({ workspace, atMs }) => minuteOf(workspace, atMs))
  const findings = ledger.flatMap(interval => {
    const mine: Entry[] = []
    for (let ms = Date.parse(interval.from); ms < Date.parse(interval.to); ms += MINUTE_MS) {
      const minute = minuteOf(interval.workspace, ms)
      mine.push(...(minutes.get(minute) ?? []))
      minutes.delete(minute)
    }
    const [known, listed] = [numbersOf(mine), numbersIn(interval)]
    return known === listed ? [] : [`${interval.workspace} from ${interval.from}: the senders have ${known}, the ledger ${listed}`]
  })
  const unlisted = [...minutes.values()].flat()
  return [...findings, ...unlisted.map(({ workspace, key, atMs }) => `${key} of ${workspace}, received at ${atMs}, is in no interval`)]
}

/** Returns the days of which the ledger must be read, as the epoch milliseconds of their beginning. */
export function daysOf(sent: readonly SentCallback[], rows: readonly StoredCallback[]): number[] {
  return [...new Set(entriesOf(sent, rows).map(({ atMs }) => Math.floor(atMs / DAY_MS) * DAY_MS))]
}

export const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

function entriesOf(sent: readonly SentCallback[], rows: readonly StoredCallback[]): Entry[] {
  const origins = new Origins(sent, rows)
  const copies = Map.groupBy(sent, ({ key }) => key)
  return sent.flatMap((callback): Entry[] => {
    const { workspace, key } = callback
    const [row] = origins.rowsOf(callback)
    const toldMs = copies.get(key)?.length === 1 ? certainTimeOf(callback) : undefined
    if (toldMs !== undefined) return [{ workspace, atMs: toldMs, key, state: row?.state }]
    return row ? [{ workspace, atMs: row.receivedAtMs, key: row.key, state: row.state }] : []
  })
}

/**
 * Returns the time that all answers to a callback named; undefined if it is not certain that it counts. The time of a spooled callback is not,
 * because an insert that hung may have taken it before.
 */
function certainTimeOf({ outcomes }: SentCallback): number | undefined {
  const times = new Set(
    outcomes.map(outcome => (outcome.kind === 'ok' && outcome.durability === 'database' ? outcome.receivedAtMs : undefined)),
  )
  return times.size === 1 ? [...times][0] : undefined
}

function minuteOf(workspace: string, ms: number): string {
  return `${workspace} ${Math.floor(ms / MINUTE_MS)}`
}

function numbersOf(entries: readonly Entry[]): string {
  const keys = entries.flatMap(({ key }) => key ?? [])
  const inState = (state: string): number => entries.filter(entry => entry.state === state).length
  const [completed, failed, cancelled] = [inState('completed'), inState('failed'), inState('cancelled')]
  const unfinished = entries.length - completed - failed - cancelled
  return words({ accepted: entries.length, keyed: keys.length, completed, failed, cancelled, unfinished, keys_digest: digestOf(keys) })
}

function numbersIn({ accepted, keyed, completed, failed, cancelled, unfinished, keys_digest }: Interval): string {
  return words({ accepted, keyed, completed, failed, cancelled, unfinished, keys_digest })
}

function words(numbers: Omit<Interval, 'workspace' | 'from' | 'to'>): string {
  return Object.entries(numbers)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

export function digestOf(keys: readonly string[]): string {
  const sum = keys.reduce((total, key) => total + createHash('sha256').update(key).digest().readBigUInt64BE(), 0n)
  return BigInt.asUintN(64, sum).toString(16).padStart(16, '0')
}
