import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../chaos/ledger-checker.ts'
import { postCallback } from '../support/callbacks.ts'
import { eventually, until } from '../support/eventually.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { type Surroundings, startSurroundings } from '../support/system.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const KEYS = Array.from({ length: 20 }, (_, n) => `order-${n}`)

interface Counts {
  readonly accepted: number
  readonly completed: number
  readonly replayed: number
}

type Interval = Counts & { readonly keys_digest: string }

describe('the ledger', function () {
  this.timeout(60_000)
  let system: Surroundings
  let proxy: TcpProxy
  let service: ServiceProcess
  let folder: string

  before(async () => {
    system = await startSurroundings({ client: { LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '5' } })
    folder = await mkdtemp(join(tmpdir(), 'answerback-ledger-'))
  })

  beforeEach(async () => {
    await system.db.query('TRUNCATE callbacks, ledger_hours, ledger_answers')
    proxy = new TcpProxy(system.databaseUrl)
    await proxy.start()
    service = await start(proxy.url)
  })

  afterEach(async () => {
    await service.stop()
    await proxy.stop()
  })

  after(async () => {
    await system?.stop()
    await rm(folder, { recursive: true })
  })

  async function start(databaseUrl: string, spool = 'spool'): Promise<ServiceProcess> {
    return (await system.startCallbackService({ DATABASE_URL: databaseUrl, SPOOL_PATH: join(folder, `${spool}.sqlite`) })).ready()
  }

  /** Sends a callback under each key. @returns the answers */
  const send = (): Promise<{ received_at: string; durability: string }[]> =>
    Promise.all(
      KEYS.map(async key => {
        const response = await postCallback(service.url, [1], { 'idempotency-key': key })
        assert.equal(response.status, 202)
        return (await response.json()) as { received_at: string; durability: string }
      }),
    )

  /** Adds up all intervals of the last two hours. */
  async function sums(): Promise<Counts & { readonly digest: string }> {
    const from = new Date(Date.now() - 7_200_000).toISOString()
    const response = await fetch(`${service.url}/v1/ledger?from=${from}`)
    assert.equal(response.status, 200)
    const { intervals } = (await response.json()) as { intervals: Interval[] }
    const sumOf = (name: 'accepted' | 'completed' | 'replayed'): number => intervals.reduce((sum, interval) => sum + interval[name], 0)
    const digest = intervals.reduce((sum, { keys_digest }) => sum + BigInt(`0x${keys_digest}`), 0n)
    return {
      accepted: sumOf('accepted'),
      completed: sumOf('completed'),
      replayed: sumOf('replayed'),
      digest: BigInt.asUintN(64, digest).toString(16).padStart(16, '0'),
    }
  }

  const rows = async (condition = 'true'): Promise<number> =>
    (await system.db.query(`SELECT FROM callbacks WHERE ${condition}`)).rows.length
  const all = { accepted: 20, completed: 20, replayed: 0, digest: digestOf(KEYS) }

  for (const [moment, at] of [
    ['before the deletion of old callbacks', 'question'],
    ['after it, before it knows', 'answer'],
  ] as const) {
    it(`counts each callback once if a replica is killed ${moment}`, async () => {
      await send()
      await eventually('all are finished', async () => (await rows('finished_at IS NULL')) === 0)
      const killed = proxy.atStatement('INSERT INTO ledger_hours', at, 15_000, () => service.signal('SIGKILL'))
      await system.db.query(`UPDATE callbacks SET finished_at = finished_at - interval '2 hours' WHERE idempotency_key < 'order-15'`)
      assert.equal(await killed, true)
      await service.exited
      service = await start(system.databaseUrl)
      assert.deepEqual(await sums(), all)
      await system.db.query(`UPDATE callbacks SET finished_at = finished_at - interval '2 hours'`)
      await until(async () => (await rows()) === 0)
      assert.deepEqual(await sums(), all)
    })
  }

  it('has spooled callbacks once the database has taken them, at the times that their senders were told', async () => {
    proxy.refuse()
    const answers = await send()
    assert.deepEqual(new Set(answers.map(({ durability }) => durability)), new Set(['spooled']))
    assert.equal((await fetch(`${service.url}/v1/ledger`)).status, 503)
    proxy.forward()
    await until(async () => (await rows()) === KEYS.length)
    const list = await until(async () => {
      const response = await fetch(`${service.url}/v1/ledger/keys`)
      return response.ok ? ((await response.json()) as { items: { key: string; received_at: string }[] }) : undefined
    })
    assert.deepEqual(
      new Map(list.items.map(({ key, received_at }) => [key, received_at])),
      new Map(KEYS.map((key, n) => [key, answers[n]?.received_at])),
    )
  })

  it('has the replays that a replica counted just before SIGTERM, and of two replicas the sum', async () => {
    await send()
    const other = await start(system.databaseUrl, 'other')
    await send()
    await service.stop()
    service = other
    await send()
    await eventually('both are in the ledger', async () => (await sums()).replayed === 2 * KEYS.length)
  })

  it('counts replays once if the answer to their write is lost', async () => {
    await send()
    const lost = proxy.atStatement('INSERT INTO ledger_answers', 'answer', 15_000, () => proxy.cut())
    await send()
    assert.equal(await lost, true)
    await eventually('they are written again', async () => (await written()) > 0)
    await eventually('all are in the ledger', async () => (await readable()) === KEYS.length)
    await service.stop()
    service = await start(system.databaseUrl)
    assert.equal((await sums()).replayed, KEYS.length)
  })

  const written = async (): Promise<number> => (await system.db.query('SELECT FROM ledger_answers')).rows.length
  const readable = async (): Promise<number | undefined> => (await sums().catch(() => undefined))?.replayed
})
