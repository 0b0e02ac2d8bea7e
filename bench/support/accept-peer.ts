import { PrismaPg } from '@prisma/adapter-pg'
import { Logger as GraphileLogger, makeWorkerUtils } from 'graphile-worker'
import { PgBoss } from 'pg-boss'
import { Batcher } from '#foundation/batcher.ts'
import { PrismaClient } from '#prisma'
import { newCallbackId } from '../../services/callback-service/adapters/callback-id.ts'
import { schema } from '../../services/callback-service/config.ts'
import { runWithAnotherInbox, type Store } from './another-inbox.ts'

/**
 * The ways to store. Each connects to the database, and makes its own tables if it needs any. Each pool has the library's default size,
 * ten.
 */
const STORES: Readonly<Record<string, (url: string) => Promise<Store>>> = {
  'prisma-create': prismaCreate,
  'pg-boss-send': pgBossSend,
  'pg-boss-batches': pgBossBatches,
  'graphile-add-job': graphileAddJob,
}

const QUEUE = 'callbacks'

/** The way to store callbacks that PEER_STORE names. The peers run without workers, maintenance and schedules. */
const open = STORES[process.env['PEER_STORE'] ?? '']
if (!open) throw new Error(`PEER_STORE must be one of ${Object.keys(STORES)}`)
await runWithAnotherInbox('accept-peer', open)

/** Stores in our own table with the generated client. It selects only the id, because a plain `create` reads the whole row back. */
async function prismaCreate(url: string): Promise<Store> {
  const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) })
  return async ({ objectIds, idempotencyKey, requestId, trace }) => {
    const { traceparent, tracestate, baggage } = trace
    const data = {
      id: newCallbackId(),
      objectIds: Array.from(objectIds, BigInt),
      idempotencyKey: idempotencyKey ?? null,
      requestId: requestId ?? null,
      traceparent: traceparent ?? null,
      tracestate: tracestate ?? null,
      baggage: baggage ?? null,
    }
    return (await prisma.callback.create({ data, select: { id: true } })).id
  }
}

async function pgBossSend(url: string): Promise<Store> {
  const boss = await startPgBoss(url)
  return async callback => (await boss.send(QUEUE, jobData(callback))) as string
}

/** Stores callbacks that arrive during an insert together, within the bounds of our own inbox. */
async function pgBossBatches(url: string): Promise<Store> {
  const boss = await startPgBoss(url)
  const batcher = new Batcher<{ id: string; data: object }, string>({
    write: async jobs => {
      await boss.insert(QUEUE, [...jobs])
      return jobs.map(job => job.id)
    },
    maxBatch: schema.accept.maxBatch.default as number,
    maxInFlight: schema.accept.maxCommits.default as number,
  })
  return callback => batcher.add({ id: newCallbackId(), data: jobData(callback) })
}

async function startPgBoss(url: string): Promise<PgBoss> {
  const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false })
  boss.on('error', error => process.stderr.write(`${error.stack}\n`))
  await boss.start()
  await boss.createQueue(QUEUE)
  return boss
}

async function graphileAddJob(url: string): Promise<Store> {
  const utils = await makeWorkerUtils({ connectionString: url, logger: new GraphileLogger(() => () => undefined) })
  await utils.migrate()
  return async callback => (await utils.addJob('callback', jobData(callback))).id
}

/** Makes the data of a job. An id that a double cannot hold becomes a string, because JSON.stringify does not accept a bigint. */
function jobData({ objectIds, ...rest }: Parameters<Store>[0]): object {
  return { objectIds: objectIds.map(id => (Number.isSafeInteger(Number(id)) ? Number(id) : String(id))), ...rest }
}
