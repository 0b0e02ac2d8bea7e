import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { range } from '../test/support/callbacks.ts'
import { benchmark } from './support/benchmark.ts'
import { callbackOf, load, loadBeyondLimit } from './support/load.ts'

const SUPERUSER_KEY = randomBytes(32).toString('hex')
const KEYS = { ACCESS_MODE: 'keys', ACCESS_SUPERUSER_KEYS: SUPERUSER_KEY }
/** Limits that no request reaches, so that every check is made and none refuses. */
const UNREACHED = {
  requests_per_second: 1_000_000,
  burst: 1_000_000,
  active_requests: 1_000_000,
  unfinished_callbacks: 1_000_000_000,
  body_bytes: 65_536,
  object_ids: 1000,
}
const PER_SECOND = 100
/** Time in which each replica has counted the others. */
const SETTLED_MS = 3000

/**
 * Measures what keys and limits cost a callback, against open access, in the order A B B A. Each round starts both services anew, because one of
 * two processes with the same code may be faster for its whole life. Then three replicas share a limit of a hundred requests per second under
 * ten times that load. The client service is down, because another benchmark measures fetching.
 */
await benchmark(
  {
    name: 'access',
    title: 'keys and limits against open access, and a limit that three replicas share',
    settings: { rounds: 8, seconds: 3, ids: 100, replicas: 3, limitSeconds: 30 },
    quick: { rounds: 1, seconds: 1, replicas: 2, limitSeconds: 3 },
  },
  async ({ settings, callbackService, rounds, sample }) => {
    const { seconds, limitSeconds } = settings
    const body = callbackOf(range(1, settings.ids))
    let key: string | undefined
    await rounds(async round => {
      const [open, keyed] = await Promise.all([callbackService(), callbackService(KEYS)])
      key ??= await keyOf(keyed.url, 'unhindered', UNREACHED)
      const sides = [{ url: open.url }, { url: keyed.url, key }]
      for (const side of sides) await load({ ...side, connections: 64, seconds: Math.min(2, seconds), body })
      const perSecond = new Map<string, number>()
      const order = round % 2 === 0 ? sides : sides.toReversed()
      for (const side of [...order, ...order.toReversed()]) {
        const answers = await load({ ...side, connections: 64, seconds, body })
        perSecond.set(side.url, (perSecond.get(side.url) ?? 0) + answers.perSecond / 2)
      }
      await Promise.all([open.stop(), keyed.stop()])
      const [openly, withKey] = sides.map(({ url }) => perSecond.get(url) as number) as [number, number]
      sample('open: accepted a second', openly)
      sample('with a key and all limits: accepted a second', withKey)
      sample('with a key and all limits, of open', withKey / openly, { atLeast: 0.97 })
    })

    const replicas = await Promise.all(range(0, settings.replicas).map(() => callbackService(KEYS)))
    const limited = await keyOf(replicas[0]?.url as string, 'limited', { requests_per_second: PER_SECOND })
    await sleep(SETTLED_MS)
    const shares = await Promise.all(
      replicas.map(({ url }) =>
        loadBeyondLimit({ url, key: limited, connections: 16, seconds: limitSeconds, body, rate: (10 * PER_SECOND) / replicas.length }),
      ),
    )
    const accepted = shares.reduce((sum, share) => sum + share.accepted, 0)
    const sent = shares.reduce((sum, share) => sum + share.accepted + share.refused, 0)
    sample(`limit of ${PER_SECOND} a second on ${replicas.length} replicas: sent a second`, sent / limitSeconds)
    sample(
      `limit of ${PER_SECOND} a second on ${replicas.length} replicas: admitted, of the limit`,
      accepted / (PER_SECOND * limitSeconds),
      {
        atLeast: 0.95,
        atMost: 1.05,
      },
    )
  },
)

/** Makes a workspace and a key that may send to it. */
async function keyOf(url: string, name: string, limits: Readonly<Record<string, number>>): Promise<string> {
  await ask(`${url}/v1/workspaces`, { name, limits })
  const { key } = (await ask(`${url}/v1/workspaces/${name}/keys`, { role: 'send' })) as { key: string }
  return key
}

async function ask(url: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${SUPERUSER_KEY}` }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await response.text()
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${text}`)
  return JSON.parse(text)
}
