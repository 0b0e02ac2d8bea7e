import assert from 'node:assert/strict'
import { v7 } from 'uuid'
import { noteSightings } from '../../../adapters/postgres/agent-sightings.ts'
import type { Sighting } from '../../../domain/agents/sightings.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const sighting = (id: string, changes: Partial<Sighting> = {}): Sighting => ({
  ...{ id, agoMs: 1000, version: undefined, objects: 0, callbacks: 0, lapses: 0 },
  ...changes,
})

describe('the sightings of agents in the database', () => {
  let storage: TestStorage
  let ids: string[]

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    ids = Array.from({ length: 20 }, () => v7())
    await storage.query('TRUNCATE agents')
    await storage.query(`INSERT INTO agents (id, workspace, name) SELECT id, 'plant', id::text FROM unnest($1::uuid[]) id`, [ids])
  })

  after(() => storage.close())

  const read = async (id = ids[0]) =>
    (
      await storage.query(
        `SELECT version, objects::int, callbacks::int, lapses::int, round(extract(epoch FROM now() - last_seen_at))::int AS ago FROM agents WHERE id = $1`,
        [id],
      )
    )[0]

  it('are written and added up', async () => {
    const { prisma } = storage.open()
    await noteSightings(prisma, [sighting(ids[0] as string, { version: 'a/1', objects: 5, callbacks: 1, lapses: 2 })])
    await noteSightings(prisma, [sighting(ids[0] as string, { objects: 7 })])
    assert.deepEqual(await read(), { version: 'a/1', objects: 12, callbacks: 1, lapses: 2, ago: 1 })
  })

  it('tell who was seen by any replica within the last 90 s', async () => {
    await storage.query(`UPDATE agents SET last_seen_at = now() - CASE id WHEN $1 THEN interval '80 s' ELSE interval '91 s' END`, [ids[1]])
    const seen = await noteSightings(storage.open().prisma, [])
    assert.deepEqual(
      seen.map(({ id, ago_ms }) => [id, Math.round(ago_ms / 1000)]),
      [[ids[1], 80]],
    )
  })

  it('never make a last sighting older, unless it lies in the future after a step of the clock', async () => {
    const { prisma } = storage.open()
    await noteSightings(prisma, [sighting(ids[0] as string, { agoMs: 1000 })])
    await noteSightings(prisma, [sighting(ids[0] as string, { agoMs: 20_000 })])
    assert.equal(((await read()) as { ago: number }).ago, 1)
    await storage.query(`UPDATE agents SET last_seen_at = now() + interval '1 day'`)
    await noteSightings(prisma, [sighting(ids[0] as string, { agoMs: 5000 })])
    assert.ok(((await read()) as { ago: number }).ago >= 0)
  })

  it('of a lapse alone do not say that the agent lives', async () => {
    await noteSightings(storage.open().prisma, [sighting(ids[0] as string, { agoMs: undefined, lapses: 1 })])
    assert.deepEqual(await read(), { version: '', objects: 0, callbacks: 0, lapses: 1, ago: null })
  })

  it('change nothing if the agent does not exist, and no revision of the directory', async () => {
    const before = await storage.query('SELECT number FROM access_revision')
    await noteSightings(storage.open().prisma, [sighting(v7()), sighting(ids[0] as string)])
    assert.deepEqual(await storage.query('SELECT number FROM access_revision'), before)
  })

  it('are written by several replicas at once, whatever the order of their agents', async () => {
    const all = ids.map(id => sighting(id, { objects: 1 }))
    await Promise.all(Array.from({ length: 8 }, (_, i) => noteSightings(storage.open().prisma, i % 2 === 0 ? all : all.toReversed())))
    assert.deepEqual(await storage.query('SELECT DISTINCT objects::int FROM agents'), [{ objects: 8 }])
  })
})
