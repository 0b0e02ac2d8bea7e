import assert from 'node:assert/strict'
import { withClient } from '../../../../../test/support/database.ts'
import { until } from '../../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { NO_LIMITS } from '../../../domain/workspaces/workspace.ts'
import { newWorkspaces } from './new-workspaces.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('WorkspaceStore', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query(`DELETE FROM workspaces WHERE name <> 'default'`))

  after(() => storage.close())

  const open = (options = {}) => newWorkspaces(storage.open(), options).workspaces
  const revision = async (): Promise<number> =>
    Number((await storage.query<{ number: string }>('SELECT number FROM access_revision'))[0]?.number)

  const full = {
    name: 'shop',
    description: 'Orders „ß"',
    clientServiceUrl: 'https://shop.example/',
    ttlSeconds: 0.5,
    keepOffline: false,
    signingSecrets: ['whsec_a', 'b'],
    isPaused: true,
    weight: 7,
    fetcher: 'agents' as const,
    agentLabels: ['eu', 'site=7'],
    limits: { ...NO_LIMITS, requestsPerSecond: 0.5, burst: 3 },
  }

  it('finds a workspace as it was created', async () => {
    const workspaces = open()
    const { createdAt, ...created } = await workspaces.create(full)
    assert.deepEqual(created, { ...full, archivedAt: null })
    assert.ok(Math.abs(createdAt.getTime() - Date.now()) < 5000)
    assert.deepEqual(await workspaces.find('shop'), { ...created, createdAt })
  })

  it('gives a new workspace the settings of the service where nothing is said', async () => {
    const { createdAt: _, ...created } = await open().create({ name: 'plain' })
    assert.deepEqual(created, {
      name: 'plain',
      description: '',
      clientServiceUrl: null,
      ttlSeconds: null,
      keepOffline: null,
      signingSecrets: [],
      isPaused: false,
      weight: 1,
      fetcher: 'service',
      agentLabels: [],
      limits: NO_LIMITS,
      archivedAt: null,
    })
  })

  it('tells names apart by case, and refuses a name that exists', async () => {
    const workspaces = open()
    await workspaces.create({ name: 'shop' })
    await workspaces.create({ name: 'Shop' })
    await assert.rejects(workspaces.create({ name: 'shop' }), { code: 'workspace_exists' })
  })

  it('changes what is named, and merges limits one by one', async () => {
    const workspaces = open()
    const created = await workspaces.create(full)
    const changed = await workspaces.change('shop', { isPaused: false, signingSecrets: [], limits: { burst: null, objectIds: 9 } })
    assert.deepEqual(changed, {
      ...created,
      isPaused: false,
      signingSecrets: [],
      limits: { ...NO_LIMITS, requestsPerSecond: 0.5, objectIds: 9 },
    })
    assert.deepEqual(await workspaces.find('shop'), changed)
  })

  it('knows nothing of a workspace that does not exist, and changes nothing', async () => {
    const workspaces = open()
    const before = await revision()
    assert.deepEqual(
      [
        await workspaces.find('nobody'),
        await workspaces.change('nobody', { weight: 2 }),
        await workspaces.archive('nobody'),
        await workspaces.restore('nobody'),
      ],
      [undefined, undefined, undefined, undefined],
    )
    assert.equal(await revision(), before)
  })

  it('archives and restores, both safe to repeat', async () => {
    const workspaces = open()
    const created = await workspaces.create({ name: 'shop' })
    const first = await workspaces.archive('shop')
    const second = await workspaces.archive('shop')
    assert.ok(first?.archivedAt)
    assert.deepEqual(second, first)
    assert.deepEqual(await workspaces.restore('shop'), created)
    assert.deepEqual(await workspaces.restore('shop'), created)
  })

  it('keeps default without limits and alive, and lets it change otherwise', async () => {
    const workspaces = open()
    await assert.rejects(workspaces.archive('default'), { code: 'default_workspace' })
    await assert.rejects(workspaces.change('default', { limits: { burst: 1 } }), { code: 'default_workspace' })
    assert.equal((await workspaces.change('default', { isPaused: true, limits: { burst: null } }))?.isPaused, true)
    await workspaces.change('default', { isPaused: false })
  })

  it('ignores limits and an archival of default that somebody wrote into the database', async () => {
    await storage.query(`UPDATE workspaces SET limits = '{"burst": 1}', archived_at = now() WHERE name = 'default'`)
    const found = await open().find('default')
    await storage.query(`UPDATE workspaces SET limits = '{}', archived_at = NULL WHERE name = 'default'`)
    assert.deepEqual([found?.limits, found?.archivedAt], [NO_LIMITS, null])
  })

  it('counts every change', async () => {
    const workspaces = open()
    const before = await revision()
    await workspaces.create({ name: 'shop' })
    await workspaces.change('shop', { weight: 2 })
    await workspaces.archive('shop')
    await workspaces.restore('shop')
    assert.equal(await revision(), before + 4)
  })

  /** Lets changes read the same facts before any of them may write. @returns their outcomes: `done`, or the code of the error */
  async function atOnce(...changes: (() => Promise<unknown>)[]): Promise<string[]> {
    return withClient(storage.url, async client => {
      await client.query('BEGIN')
      await client.query('UPDATE access_revision SET number = number')
      const outcomes = Promise.allSettled(changes.map(change => change()))
      await until(async () => {
        const waiting = await storage.query(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
        return waiting.length === changes.length
      })
      await client.query('COMMIT')
      return (await outcomes).map(outcome => (outcome.status === 'fulfilled' ? 'done' : outcome.reason.code)).toSorted()
    })
  }

  it('keeps the bound when several replicas create at once', async () => {
    const replicas = [open({ max: 3 }), open({ max: 3 }), open({ max: 3 }), open({ max: 3 })]
    const outcomes = await atOnce(...replicas.map((workspaces, i) => () => workspaces.create({ name: `w${i}` })))
    assert.deepEqual(outcomes, ['done', 'done', 'too_many_workspaces', 'too_many_workspaces'])
    assert.equal((await open().list({ limit: 100, position: undefined })).length, 3)
  })

  it('lets one of several replicas create a name', async () => {
    const outcomes = await atOnce(...[open(), open(), open()].map(workspaces => () => workspaces.create({ name: 'shop' })))
    assert.deepEqual(outcomes, ['done', 'workspace_exists', 'workspace_exists'])
  })

  it('loses no change of two replicas to the same workspace', async () => {
    const [one, other] = [open(), open()]
    await one.create({ name: 'shop' })
    await atOnce(
      () => one.change('shop', { limits: { burst: 1 } }),
      () => other.change('shop', { limits: { objectIds: 2 } }),
    )
    assert.deepEqual((await one.find('shop'))?.limits, { ...NO_LIMITS, burst: 1, objectIds: 2 })
  })

  it('bounds the number of different client services, over all workspaces', async () => {
    const workspaces = open({ maxClientServices: 2 })
    await workspaces.create({ name: 'a', clientServiceUrl: 'http://a/' })
    await workspaces.create({ name: 'b', clientServiceUrl: 'http://b/' })
    await workspaces.create({ name: 'c', clientServiceUrl: 'http://a/' })
    await assert.rejects(workspaces.create({ name: 'd', clientServiceUrl: 'http://d/' }), { code: 'too_many_client_services' })
    await assert.rejects(workspaces.change('c', { clientServiceUrl: 'http://d/' }), { code: 'too_many_client_services' })
    assert.equal((await workspaces.change('b', { clientServiceUrl: 'http://d/' }))?.clientServiceUrl, 'http://d/')
  })

  it('lets workspaces beyond a lowered bound change what does not add a client service', async () => {
    for (const name of ['a', 'b']) await open().create({ name, clientServiceUrl: `http://${name}/` })
    assert.equal((await open({ maxClientServices: 1 }).change('a', { weight: 3 }))?.weight, 3)
  })

  it('lists by name, goes on after each place, and back before it', async () => {
    const workspaces = open()
    for (const name of ['b', 'B', '_', '0', 'z']) await workspaces.create({ name })
    const names = async (limit: number, direction?: 'after' | 'before', key = ''): Promise<string[]> =>
      (await workspaces.list({ limit, position: direction && { direction, key } })).map(({ name }) => name)
    const all = ['0', 'B', '_', 'b', 'default', 'z']
    assert.deepEqual(await names(10), all)
    assert.deepEqual(await names(2, 'after', '_'), ['b', 'default'])
    assert.deepEqual(await names(2, 'before', '_'), ['0', 'B'])
  })

  it('says that the database is away', async () => {
    const database = storage.open({ url: 'postgresql://nobody@127.0.0.1:1/nothing' })
    await assert.rejects(newWorkspaces(database).workspaces.create({ name: 'x' }), StorageUnavailableError)
  })
})
