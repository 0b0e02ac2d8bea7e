import assert from 'node:assert/strict'
import { v7 } from 'uuid'
import { seededRandom } from '../../../../../test/chaos/random.ts'
import { AgentAssignments } from '../../../adapters/postgres/agent-assignments.ts'
import { CallbackSteering } from '../../../adapters/postgres/callback-steering.ts'
import { endLeases } from '../../../adapters/postgres/lease-expiry.ts'
import { grantLeases, newLeaseToken } from '../../../adapters/postgres/lease-grants.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const ROUNDS = Number(process.env['RACE_ROUNDS'] ?? 800)
const CALLBACKS = 12
const AGENTS = 3
/** Rounds at once. */
const AT_ONCE = 8

describe('assignments, leases and archived agents that race', function () {
  this.timeout(120_000)
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
    await storage.query(`INSERT INTO workspaces (name, fetcher) VALUES ('plant', 'agents')`)
    await storage.query('CREATE TABLE wrong (id uuid, what text)')
    await storage.query(`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.agent_id IS NOT NULL AND NEW.lease_expires_at > NEW.leased_at AND NEW.assigned_to <> NEW.agent_id
        THEN INSERT INTO wrong VALUES (NEW.id, 'leased to another agent than it is assigned to'); END IF;
      IF (NEW.state = 'running') <> (NEW.claim_token IS NOT NULL) THEN INSERT INTO wrong VALUES (NEW.id, 'runs without a token'); END IF;
      RETURN NEW; END $$`)
    await storage.query('CREATE TRIGGER note AFTER UPDATE ON callbacks FOR EACH ROW EXECUTE FUNCTION note()')
  })

  after(() => storage.close())

  it(`never leave a live lease with another agent than the assigned one, nor an assignment to an archived one, in ${ROUNDS} rounds`, async () => {
    const seed = Number(process.env['RACE_SEED'] ?? Date.now() % 1_000_000)
    console.log(`        seed ${seed}`)
    const random = seededRandom(seed)
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
    const agents = Array.from({ length: AGENTS }, () => v7())
    await storage.query(`INSERT INTO agents (id, workspace, name) SELECT id, 'plant', id::text FROM unnest($1::uuid[]) id`, [agents])
    const callbacks = await Promise.all(Array.from({ length: CALLBACKS }, () => putCallback(storage, { workspace: 'plant' })))
    const replicas = [1, 2].map(() => {
      const { prisma } = storage.open({ maxConnections: 4 })
      return { prisma, assignments: new AgentAssignments(prisma), steering: new CallbackSteering(prisma) }
    })
    const told = { leased: 0, ended: 0, assigned: 0, taken: 0, dropped: 0 }
    type Deed = (replica: (typeof replicas)[0], id: string, callbackId: string) => Promise<unknown>
    const grant: Deed = async ({ prisma }, id, callbackId) => {
      const leases = await grantLeases(prisma, [{ token: newLeaseToken(), callbackId, agent: { id, labels: [] } }], { leaseSeconds: 60 })
      told.leased += leases.length
    }
    const deeds: Deed[] = [
      grant,
      grant,
      grant,
      async ({ prisma }) => {
        told.ended += (await endLeases(prisma, 100)).length
      },
      async ({ assignments }, id, callback) => {
        const { outcome } = await assignments.assign({ workspace: 'plant', id }, callback)
        assert.ok(outcome === 'assigned' || outcome === 'agent_archived', outcome)
        told.assigned += Number(outcome === 'assigned')
      },
      async ({ assignments }, id, callback) => {
        told.taken += Number((await assignments.takeAway({ workspace: 'plant', id }, callback)) !== undefined)
      },
      async ({ assignments }, id) => {
        if (random() > 0.3) return
        await storage.query('UPDATE agents SET archived_at = now() WHERE id = $1', [id])
        told.dropped += (await assignments.dropArchived([id])).length
      },
      (_, id) => storage.query('UPDATE agents SET archived_at = NULL WHERE id = $1', [id]),
      ({ steering }, _, id) => steering.change({ workspace: 'plant', id }, { activated: random() < 0.7 }),
      ({ steering }, _, id) => steering.change({ workspace: 'plant', id }, { agentLabels: random() < 0.5 ? null : ['nobody'] }),
    ]

    let round = 0
    const race = async (): Promise<void> => {
      while (round < ROUNDS) {
        round += 1
        await pick(deeds)(pick(replicas), pick(agents), pick(callbacks))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, race))

    assert.deepEqual(await storage.query('SELECT DISTINCT what FROM wrong'), [])
    // What somebody assigned at the moment of archiving is dropped by the next sweep.
    await storage.query('UPDATE agents SET archived_at = now()')
    while ((await replicas[0]?.assignments.dropArchived(agents))?.length) told.dropped += 1
    assert.deepEqual(await storage.query('SELECT id FROM callbacks WHERE assigned_to IS NOT NULL'), [])
    await storage.query('UPDATE callbacks SET lease_expires_at = leased_at WHERE agent_id IS NOT NULL')
    await endLeases((replicas[0] as (typeof replicas)[0]).prisma, 100)
    const left = await storage.query('SELECT DISTINCT state, attempts FROM callbacks WHERE state NOT IN ($1, $2)', ['pending', 'paused'])
    assert.deepEqual(left, [])
    assert.deepEqual(
      await storage.query('SELECT attempts FROM callbacks WHERE attempts <> 0 OR returns <> 0'),
      [],
      'nothing of this is charged',
    )
    const [{ deadlocks } = { deadlocks: -1 }] = await storage.query<{ deadlocks: number }>(
      'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
    )
    assert.equal(deadlocks, 0)
    assert.ok(
      Object.values(told).every(count => count > 0),
      JSON.stringify(told),
    )
    console.log(`        ${JSON.stringify(told)}`)
  })
})
