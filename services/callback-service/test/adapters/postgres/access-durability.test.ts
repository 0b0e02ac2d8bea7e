import assert from 'node:assert/strict'
import { newWorkspaces, SEND_KEY } from './new-workspaces.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('the commit of a change to workspaces and keys', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
    // This trigger runs just before the commit, and records what the commit will wait for.
    await storage.query(`
      CREATE TABLE commits (waits_for text);
      CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO commits VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER note_commit AFTER UPDATE ON access_revision DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_commit()`)
  })

  after(() => storage.close())

  it('waits for the disk each time, also where it changes no row', async () => {
    const database = storage.open({ maxConnections: 1 })
    await database.prisma.$queryRaw`SELECT set_config('synchronous_commit', 'off', false)`
    const { workspaces, keys } = newWorkspaces(database)
    await workspaces.create({ name: 'shop' })
    await workspaces.change('shop', {})
    await workspaces.archive('shop')
    await workspaces.archive('shop')
    await workspaces.restore('shop')
    const made = await keys.create('shop', SEND_KEY)
    await keys.delete('shop', String(made?.listed.id))
    await keys.delete('shop', String(made?.listed.id))
    const commits = await storage.query<{ waits_for: string }>('SELECT * FROM commits')
    assert.deepEqual(
      commits.map(({ waits_for }) => waits_for),
      Array.from({ length: 8 }, () => 'on'),
    )
  })
})
