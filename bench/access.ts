import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { range } from '../test/support/callbacks.ts'
import type { ServiceProcess } from '../test/support/service-process.ts'
import { benchmark } from './support/benchmark.ts'
import { callbackOf, load, loadBeyondLimit } from './support/load.ts'
import { cpuMicroseconds } from './support/process-cpu.ts'

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

interface Side {
  readonly service: ServiceProcess
  readonly key: string | undefined
  answers: number
  /** In microseconds. */
  cpu: number
}

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
    const loadSide = async (side: Side, seconds: number): Promise<void> => {
      const { pid, url } = side.service
      const before = cpuMicroseconds(pid as number)
      const { answers } = await load({ url, key: side.key, connections: 64, seconds, body })
      side.answers += answers
      side.cpu += cpuMicroseconds(pid as number) - before
    }
    await rounds(async round => {
      const open = await callbackService()
      const keyed = await callbackService(KEYS)
      key ??= await keyOf(keyed.url, 'unhindered', UNREACHED)
      const sides: [Side, Side] = [
        { service: open, key: undefined, answers: 0, cpu: 0 },
        { service: keyed, key, answers: 0, cpu: 0 },
      ]
      const order = round % 2 === 0 ? sides : sides.toReversed()
      for (const side of [...order, ...order]) await loadSide(side, Math.min(2, seconds))
      for (const side of sides) Object.assign(side, { answers: 0, cpu: 0 })
      for (const side of [...order, ...order.toReversed()]) await loadSide(side, seconds)
      await Promise.all([open.stop(), keyed.stop()])
      const [openly, withKey] = sides
      sample('open: accepted a second', openly.answers / (2 * seconds))
      sample('with a key and all limits: accepted a second', withKey.answers / (2 * seconds))
      sample('with a key and all limits, of open', withKey.answers / openly.answers, { atLeast: 0.97 })
      sample(
        'open: CPU of the service for a callback, of that with a key and all limits',
        openly.cpu / openly.answers / (withKey.cpu / withKey.answers),
        {
          atLeast: 0.97,
        },
      )
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
