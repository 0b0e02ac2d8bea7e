import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { parseArgs, promisify } from 'node:util'
import { withClient } from '../test/support/database.ts'
import { ServiceProcess } from '../test/support/service-process.ts'
import { withPostgres } from './postgres.ts'

/**
 * How many callbacks a second are durably accepted, against the same app answering without storing.
 *
 * Real processes, load from a process of its own; rounds interleaved A B A B, so that a noisy machine disturbs both alike. A round counts only
 * if every answer was 202 and every 202 is a row. The client service is away: what its pipeline does is another benchmark.
 */
const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '64' },
    ids: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '6' },
  },
})

interface Round {
  readonly answers: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const autocannon = createRequire(import.meta.url).resolve('autocannon')
const body = JSON.stringify({ object_ids: Array.from({ length: Number(values.ids) }, (_, i) => i + 1) })

await withPostgres(async databaseUrl => {
  const env = { DATABASE_URL: databaseUrl, ZIPKIN_URL: '', CLIENT_SERVICE_URL: 'http://127.0.0.1:1', MIGRATE_ON_START: 'true' }
  const accepting = await (await ServiceProcess.start('callback-service', env)).ready()
  const answering = await ServiceProcess.startFile('bench/answer-without-storing.ts', env)
  try {
    for (const service of [accepting, answering]) await load(service, 3)
    const rounds: { accept: Round; answer: Round }[] = []
    for (let i = 0; i < Number(values.rounds); i += 1) {
      const answer = await load(answering, Number(values.seconds))
      const before = await countRows(databaseUrl)
      const accept = await load(accepting, Number(values.seconds))
      const stored = (await countRows(databaseUrl)) - before
      if (stored < accept.answers) throw new Error(`${accept.answers} callbacks were answered with 202, ${stored} stored`)
      rounds.push({ accept, answer })
      say(`round ${i + 1}: ${line('accept', accept)}; ${line('answer only', answer)}; ratio ${ratio({ accept, answer }).toFixed(3)}`)
    }
    const ratios = rounds.map(ratio).toSorted((a, b) => a - b)
    const [least, median, most] = [ratios[0], ratios[ratios.length >> 1], ratios.at(-1)].map(value => value?.toFixed(3))
    say(`median ratio ${median} (${least} to ${most}), ${values.connections} connections, ${values.ids} ids`)
  } finally {
    await Promise.all([accepting.stop(), answering.stop()])
  }
})

async function load(service: ServiceProcess, seconds: number): Promise<Round> {
  const args = ['-j', '-m', 'POST', '-c', values.connections, '-d', String(seconds), '-H', 'content-type=application/json', '-b', body]
  const { stdout } = await promisify(execFile)(process.execPath, [autocannon, ...args, `${service.url}/callback`], { maxBuffer: 2 ** 24 })
  const result = JSON.parse(stdout) as {
    '2xx': number
    non2xx: number
    errors: number
    duration: number
    latency: { p50: number; p99: number }
  }
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} refused, ${result.errors} failed`)
  return { answers: result['2xx'], perSecond: result['2xx'] / result.duration, p50Ms: result.latency.p50, p99Ms: result.latency.p99 }
}

function countRows(databaseUrl: string): Promise<number> {
  return withClient(databaseUrl, async client => Number((await client.query('SELECT count(*) AS count FROM callbacks')).rows[0].count))
}

function ratio({ accept, answer }: { accept: Round; answer: Round }): number {
  return accept.perSecond / answer.perSecond
}

function line(name: string, round: Round): string {
  return `${name} ${Math.round(round.perSecond)}/s, p50 ${round.p50Ms} ms, p99 ${round.p99Ms} ms`
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
