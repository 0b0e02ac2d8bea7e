import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import workerThreads from 'node:worker_threads'
import { Settings } from '#foundation/config/settings.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { between, type Random, seededRandom, shuffled } from '../../../../test/chaos/random.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { TcpProxy } from '../../../../test/support/tcp-proxy.ts'
import type { ReceivedCallback } from '../../adapters/new-callback.ts'
import { DatabaseClock } from '../../adapters/postgres/database-clock.ts'
import { schema } from '../../config.ts'
import { callbackMetrics } from '../../metrics.ts'
import { type CallbackIntake, intake } from '../../wiring/intake.ts'
import { logger, openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

/** Accepts callbacks like a service. A proxy can cut it off from the database. */
interface Replica {
  readonly accept: CallbackIntake['accept']
  readonly waitSeconds: () => number
  readonly setAside: CallbackIntake['setAside']
  readonly proxy: TcpProxy
  readonly spooled: () => number
  stop(): Promise<void>
}

describe('intake', function () {
  this.timeout(60_000)
  let storage: TestStorage
  let folder: string
  const replicas: Replica[] = []

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'answerback-intake-'))
    await storage.query('DELETE FROM callbacks')
  })

  afterEach(async () => {
    for (const replica of replicas.splice(0)) await replica.stop()
    await rm(folder, { recursive: true })
  })

  after(() => storage.close())

  async function start(name = 'a', settings: Record<string, string> = {}): Promise<Replica> {
    const proxy = new TcpProxy(storage.url)
    await proxy.start()
    const env = { DATABASE_URL: proxy.url, SPOOL_PATH: join(folder, name), ...settings }
    const config = new Settings(schema, { argv: [], env }).current
    const joined = intake({
      config,
      metrics: callbackMetrics(createRegistry()),
      database: storage.open({ url: proxy.url, queryTimeoutMs: config.accept.timeoutMs }),
      clock: new DatabaseClock(),
      logger,
      arrived: new Signal(),
      events: new Signal(),
      onRefused: () => undefined,
      isHeldUp: () => false,
    })
    const { parts, accept, setAside, spool } = joined
    for (const part of parts) await part.start?.()
    const replica = {
      accept,
      waitSeconds: () => joined.waitSeconds,
      setAside,
      proxy,
      spooled: () => spool?.callbacks ?? 0,
      async stop() {
        for (const part of parts.toReversed()) await part.stop?.()
        await proxy.stop()
      },
    }
    replicas.push(replica)
    await eventually('the database takes callbacks', async () => (await replica.accept(callback())).durability !== 'spooled')
    return replica
  }

  const callback = (idempotencyKey?: string, objectId = 1, trace = {}): ReceivedCallback => ({
    workspace: 'default',
    objectIds: [objectId],
    idempotencyKey,
    requestId: undefined,
    trace,
  })
  const reused = { code: 'idempotency_key_reused' }
  const drained = (...all: Replica[]): Promise<void> => eventually('all is drained', () => all.every(({ spooled }) => spooled() === 0))
  const objectsUnder = async (key: string): Promise<number[]> =>
    (await storage.query<{ id: number }>('SELECT object_ids[1]::int AS id FROM callbacks WHERE idempotency_key = $1', [key])).map(
      ({ id }) => id,
    )

  it('counts accepted callbacks towards the backlog, but not replays', async () => {
    // It accepted some callbacks while it started.
    const a = await start('a', { INBOX_MAX_BACKLOG: '100' })
    for (let i = 0; i < 100; i += 1) await a.accept(callback('same'))
    assert.equal(a.waitSeconds(), 0)
    await Promise.all(Array.from({ length: 100 }, () => a.accept(callback())))
    assert.ok(a.waitSeconds() > 0)
  })

  it('treats the same ids in another order as a copy, in the database, in the spool and after the drain', async () => {
    const { accept, proxy, spooled } = await start()
    const named = (key: string, ...objectIds: number[]): ReceivedCallback => ({ ...callback(key), objectIds })
    const first = await accept(named('k', 1, 2, 3))
    const copies = [await accept(named('k', 3, 2, 1))]
    proxy.refuse()
    copies.push(await accept(named('k', 2, 1, 3)))
    const second = await accept(named('l', 10, 2))
    const copiesOfSecond = [await accept(named('l', 2, 10))]
    proxy.forward()
    await eventually('all is drained', () => spooled() === 0)
    copiesOfSecond.push(await accept(named('l', 2, 10)))
    assert.deepEqual(new Set(copies.map(({ id }) => id)), new Set([first.id]))
    assert.deepEqual(
      copiesOfSecond.map(({ id, isReplay }) => [id, isReplay]),
      [
        [second.id, true],
        [second.id, true],
      ],
    )
  })

  it('keeps the keys of workspaces apart, in the database, in the spool and after the drain', async () => {
    const { accept, proxy, spooled } = await start()
    const inShop = (objectId: number): ReceivedCallback => ({ ...callback('k', objectId), workspace: 'shop' })
    await accept(callback('k', 1))
    proxy.refuse()
    const theirs = await accept(inShop(2))
    await assert.rejects(accept(inShop(3)), reused)
    await assert.rejects(accept(callback('k', 3)), reused)
    proxy.forward()
    await eventually('all is drained', () => spooled() === 0)
    proxy.refuse()
    await assert.rejects(accept(inShop(3)), reused)
    assert.equal((await accept(inShop(2))).id, theirs.id)
    assert.deepEqual(await storage.query(`SELECT workspace FROM callbacks WHERE idempotency_key = 'k' ORDER BY 1`), [
      { workspace: 'default' },
      { workspace: 'shop' },
    ])
  })

  it("gives up on a spool that hangs when the callback's time is over, including the time spent on the database", async () => {
    const { Worker } = workerThreads
    const held: (() => void)[] = []
    let isHung = true
    workerThreads.Worker = class extends Worker {
      override postMessage(call: { name: string }): void {
        // It answers in order, so later calls wait too.
        if (isHung && (call.name === 'append' || held.length > 0)) held.push(() => super.postMessage(call))
        else super.postMessage(call)
      }
    }
    syncBuiltinESMExports()
    try {
      const { accept, proxy } = await start('a', { ACCEPT_TIMEOUT_MS: '2000', SPOOL_PATIENCE_MS: '1700' })
      proxy.refuse()
      const started = performance.now()
      await assert.rejects(accept(callback()), { message: 'the spool did not answer in time' })
      const tookMs = performance.now() - started
      assert.ok(tookMs < 1700, `${tookMs} ms`)
    } finally {
      isHung = false
      for (const write of held) write()
      Object.assign(workerThreads, { Worker })
      syncBuiltinESMExports()
    }
  })

  it('refuses a callback in the spool if the database took its rival', async () => {
    const { accept, proxy } = await start()
    const first = await accept(callback('k', 1))
    proxy.refuse()
    await assert.rejects(accept(callback('k', 2)), reused)
    const copy = await accept(callback('k', 1))
    assert.deepEqual([copy.id, copy.durability], [first.id, 'spooled'])
  })

  it('promises nothing in the database and in the spool if nothing is kept, and leaves the spool of a service that keeps alone', async () => {
    const keeping = await start('shared')
    keeping.proxy.refuse()
    const { id } = await keeping.accept(callback())
    replicas.splice(0)
    await keeping.stop()

    const careless = await start('shared', { DATABASE_DURABILITY: 'none' })
    assert.deepEqual([(await careless.accept(callback())).durability, careless.spooled()], ['none', 0])
    careless.proxy.refuse()
    assert.deepEqual([(await careless.accept(callback())).durability, careless.spooled()], ['none', 1])
    careless.proxy.forward()
    await drained(careless)
    assert.deepEqual(await storage.query('SELECT FROM callbacks WHERE id = $1', [id]), [])

    await drained(await start('shared'))
    assert.equal((await storage.query('SELECT FROM callbacks WHERE id = $1', [id])).length, 1)
  })

  it('refuses it also if the database got the rival from the spool', async () => {
    const replica = await start()
    replica.proxy.refuse()
    await replica.accept(callback('k', 1))
    replica.proxy.forward()
    await drained(replica)
    replica.proxy.refuse()
    await assert.rejects(replica.accept(callback('k', 2)), reused)
  })

  it('keeps both if the database took one, and the spool of another replica took the other', async () => {
    const [a, b] = [await start('a'), await start('b')]
    a.proxy.refuse()
    const spooled = await a.accept(callback('k', 1))
    const first = await b.accept(callback('k', 2))
    a.proxy.forward()
    await drained(a)
    const rows = await storage.query('SELECT id, object_ids[1]::int AS object, idempotency_key FROM callbacks WHERE id = ANY ($1)', [
      [spooled.id, first.id],
    ])
    assert.deepEqual(
      new Set(rows.map(row => JSON.stringify(row))),
      new Set([
        JSON.stringify({ id: spooled.id, object: 1, idempotency_key: null }),
        JSON.stringify({ id: first.id, object: 2, idempotency_key: 'k' }),
      ]),
    )
  })

  it('drains a refused callback when it is sent again without the refused value', async () => {
    const replica = await start()
    replica.proxy.refuse()
    await replica.accept(callback('k', 1, { tracestate: 'postgres refuses \u0000' }))
    replica.proxy.forward()
    await drained(replica)
    assert.deepEqual(await objectsUnder('k'), [])
    replica.proxy.refuse()
    const again = await replica.accept(callback('k', 1))
    assert.deepEqual([again.isReplay, again.durability], [false, 'spooled'])
    replica.proxy.forward()
    await drained(replica)
    assert.deepEqual(await objectsUnder('k'), [1])
  })

  it('drains a callback that an operator puts back without the refused value', async () => {
    const replica = await start()
    replica.proxy.refuse()
    const { id } = await replica.accept(callback('k', 1, { tracestate: 'postgres refuses \u0000' }))
    replica.proxy.forward()
    await drained(replica)
    assert.deepEqual(
      (await replica.setAside?.aside(10))?.map(aside => aside.id),
      [id],
    )
    assert.equal(await replica.setAside?.putBack(id, ['tracestate']), 'default')
    await drained(replica)
    assert.deepEqual(await objectsUnder('k'), [1])
  })

  for (const names of [['a'], ['a', 'b']]) {
    it(`loses none and keeps one of three rivals, with ${names.length} of our processes and a database that comes and goes`, async () => {
      const seed = Date.now() % 1_000_000
      const random = seededRandom(seed)
      const all = await Promise.all(names.map(name => start(name)))
      const sent = Array.from({ length: 30 }, (_, round) => sendRivals(`round ${round}`, round * 60, random, all))
      const faults = all.map(({ proxy }) => comeAndGo(proxy, 30 * 60, random))
      const rounds = await Promise.all(sent)
      await Promise.all(faults)
      await drained(...all)
      for (const { key, answers } of rounds) {
        const what = `seed ${seed}, ${key}: ${JSON.stringify(answers)}`
        const there = await storage.query<{ id: string; object: number }>(
          'SELECT id, object_ids[1]::int AS object FROM callbacks WHERE idempotency_key = $1 OR id = ANY ($2)',
          [key, answers.flatMap(({ id }) => (id === undefined ? [] : [id]))],
        )
        for (const { id, object } of answers)
          if (id)
            assert.ok(
              there.some(row => row.id === id && row.object === object),
              `lost: ${what}`,
            )
        const told = Map.groupBy(answers, ({ object }) => object)
        for (const { object } of there)
          assert.ok(
            told.get(object)?.some(({ code }) => code !== reused.code),
            `refused, and there: ${what}`,
          )
        const acknowledged = new Set(answers.flatMap(({ id, object }) => (id === undefined ? [] : [object])))
        assert.ok(acknowledged.size <= names.length, `acknowledged twice: ${what}`)
        assert.ok(acknowledged.size > 0 || answers.some(({ code }) => code !== reused.code), `all refused: ${what}`)
      }
    })
  }

  interface Answer {
    readonly object: number
    readonly id?: string
    readonly code?: unknown
  }

  /** Sends three callbacks under one key, each twice, within a few milliseconds. */
  async function sendRivals(key: string, atMs: number, random: Random, all: readonly Replica[]) {
    const answers = shuffled(random, [1, 2, 3, 1, 2, 3]).map(async (object): Promise<Answer> => {
      const replica = all[between(random, 0, all.length - 1)] as Replica
      await sleep(atMs + between(random, 0, 30))
      return replica.accept(callback(key, object)).then(
        ({ id }) => ({ object, id }),
        error => ({ object, code: error.code }),
      )
    })
    return { key, answers: await Promise.all(answers) }
  }

  /** Cuts the database off again and again, each time for a while. In the end it is available. */
  async function comeAndGo(proxy: TcpProxy, forMs: number, random: Random): Promise<void> {
    const until = performance.now() + forMs
    while (performance.now() < until) {
      await sleep(between(random, 20, 150))
      if (random() < 0.7) proxy.refuse()
      else proxy.goSilent()
      await sleep(between(random, 20, 300))
      proxy.forward()
      proxy.cut()
    }
  }
})
