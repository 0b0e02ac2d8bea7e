import assert from 'node:assert/strict'
import { pino } from 'pino'
import { Settings } from '#foundation/config/settings.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { hashOfKey } from '../../adapters/access-key.ts'
import { schema } from '../../config.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { workspaceRooms } from '../../wiring/workspaces.ts'
import { logger, openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

const KEY = { role: 'send', name: '', expiresAt: null, agentId: null } as const

describe('workspaceRooms', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  after(() => storage.close())

  function rooms(log = logger) {
    const config = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url } }).current
    return workspaceRooms({ config, work: storage.open(), read: storage.open(), limited: work => work(), logger: log })
  }

  it('knows a change before it answers, without waiting for the next look', async () => {
    const { directory, workspaces, keys } = rooms()
    await workspaces.create({ name: 'shop' })
    const made = await keys.create('shop', KEY)
    const hash = hashOfKey(String(made?.key))
    assert.equal(directory.keyWithHash(hash)?.id, made?.listed.id)
    await keys.delete('shop', String(made?.listed.id))
    assert.equal(directory.keyWithHash(hash), undefined)
    await workspaces.archive('shop')
    assert.ok(directory.find('shop')?.archivedAt)
  })

  it('answers with a change that is made, even if it cannot look then', async () => {
    const { directory, workspaces } = rooms()
    directory.refresh = () => Promise.reject(new StorageUnavailableError('away'))
    assert.equal((await workspaces.create({ name: 'other' })).name, 'other')
  })

  it('logs each change that is made, without secrets and keys', async () => {
    const logged: Record<string, unknown>[] = []
    const { workspaces, keys } = rooms(pino({ base: null, timestamp: false }, { write: line => logged.push(JSON.parse(line)) }))
    await workspaces.create({ name: 'logged' })
    await workspaces.change('logged', { signingSecrets: ['A'.repeat(32)] })
    const made = await keys.create('logged', KEY)
    await keys.delete('logged', String(made?.listed.id))
    await keys.delete('logged', String(made?.listed.id))
    await workspaces.archive('nowhere')
    const [workspace, key_id] = ['logged', made?.listed.id]
    assert.deepEqual(
      logged.map(({ level, ...line }) => line),
      [
        { workspace, msg: 'workspace created' },
        { workspace, members: ['signingSecrets'], msg: 'workspace changed' },
        { workspace, key_id, role: 'send', msg: 'key created' },
        { workspace, key_id, msg: 'key revoked' },
      ],
    )
  })

  it('writes last uses into the database', async () => {
    const { directory, workspaces, keys, parts } = rooms()
    await workspaces.create({ name: 'used' })
    const made = await keys.create('used', KEY)
    directory.used(String(made?.listed.id))
    for (const part of parts) await part.start?.()
    await eventually('the use is in the list', async () => {
      const [key] = (await keys.list('used', { limit: 1, position: undefined })) ?? []
      return key?.lastUsedAt instanceof Date
    })
    for (const part of parts) await part.stop?.()
  })
})
