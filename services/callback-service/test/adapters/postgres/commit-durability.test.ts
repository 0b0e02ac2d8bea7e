import assert from 'node:assert/strict'
import type { CallbackInbox } from '../../../adapters/postgres/callback-inbox.ts'
import type { Database } from '../../../adapters/postgres/database.ts'
import { newCallback, newInbox } from './new-inbox.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('the commit of a callback', () => {
  let storage: TestStorage
  let database: Database
  let inbox: CallbackInbox

  before(async () => {
    storage = await openTestStorage()
    database = storage.open({ maxConnections: 1 })
    ;({ inbox } = newInbox(database))
    // This trigger runs just before the commit, and records what the commit will wait for.
    await storage.query(`
      CREATE TABLE commits (waits_for text);
      CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO commits VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER note_commit AFTER INSERT ON callbacks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_commit()`)
  })

  beforeEach(() => storage.query('DELETE FROM commits'))
  after(() => storage.close())

  const commits = async (): Promise<string[]> =>
    (await storage.query<{ waits_for: string }>('SELECT * FROM commits')).map(row => row.waits_for)

  for (const [asked, waited] of [
    ['off', 'on'],
    ['local', 'on'],
    ['remote_write', 'on'],
    ['on', 'on'],
    ['remote_apply', 'remote_apply'],
  ] as const) {
    it(`waits for ${waited} where the session says ${asked}, and leaves the session as it was`, async () => {
      await database.prisma.$queryRaw`SELECT set_config('synchronous_commit', ${asked}, false)`
      await inbox.insert(newCallback())
      await inbox.takeOver([
        {
          id: newCallback().id,
          workspace: 'default',
          object_ids: '{1}',
          idempotency_key: undefined,
          request_id: undefined,
          received_ms: Date.now(),
        },
      ])
      assert.deepEqual(await commits(), [waited, waited])
      assert.deepEqual(await database.prisma.$queryRaw`SELECT current_setting('synchronous_commit') AS now`, [{ now: asked }])
    })
  }
})
