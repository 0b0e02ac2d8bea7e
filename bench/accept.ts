import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import pg from 'pg'
import { LocalPostgres } from '../deploy/local/postgres.ts'
import { ServiceProcess } from '../test/support/service-process.ts'

/**
 * How many callbacks a second are durably accepted, against the same app answering without storing.
 *
 * Real processes, embedded PostgreSQL with its default durability, load from a process of its own; rounds interleaved A B A B, so that a
 * noisy machine disturbs both alike. A round counts only if every answer was 202 and every 202 is a row. The client service is away while
 * accepting is measured: its pipeline is another benchmark.
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
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const autocannon = createRequire(import.meta.url).resolve('autocannon')
const body = JSON.stringify({ object_ids: Array.from({ length: Number(values.ids) }, (_, i) => i + 1) })
const folder = await mkdtemp(join(tmpdir(), 'answerback-bench-'))
const postgres = new LocalPostgres({ folder, port: 0 })
await postgres.start()
await postgres.createDatabase('answerback')
const env = {
  DATABASE_URL: postgres.url('answerback'),
  ZIPKIN_URL: '',
  CLIENT_SERVICE_URL: 'http://127.0.0.1:1',
  MIGRATE_ON_START: 'true',
  LOG_LEVEL: 'info',
}
const accepting = await ServiceProcess.start('callback-service', env)
const answering = await ServiceProcess.startFile('bench/answer-without-storing.ts', env)
const db = new pg.Client(postgres.url('answerback'))
await db.connect()

try {
  for (const service of [accepting, answering]) await load(service, 3)
  const rounds: { accept: Round; answer: Round }[] = []
  for (let i = 0; i < Number(values.rounds); i += 1) {
    const answer = await load(answering, Number(values.seconds))
    const before = await countRows()
    const accept = await load(accepting, Number(values.seconds))
    const stored = (await countRows()) - before
    if (stored < accept.answers) throw new Error(`${accept.answers} callbacks were answered with 202, ${stored} stored`)
    rounds.push({ accept, answer })
    process.stdout.write(
      `round ${i + 1}: ${line('accept', accept)}; ${line('answer only', answer)}; ratio ${(accept.perSecond / answer.perSecond).toFixed(3)}\n`,
    )
  }
  const ratios = rounds.map(round => round.accept.perSecond / round.answer.perSecond).toSorted((a, b) => a - b)
  const median = ratios[ratios.length >> 1] as number
  process.stdout.write(
    `median ratio ${median.toFixed(3)} (${ratios[0]?.toFixed(3)} to ${ratios.at(-1)?.toFixed(3)}), ${values.connections} connections, ${values.ids} ids\n`,
  )
} finally {
  await db.end()
  await Promise.all([accepting.stop(), answering.stop()])
  await postgres.stop()
  await postgres.remove()
}

async function load(service: ServiceProcess, seconds: number): Promise<Round & { answers: number }> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      autocannon,
      ...[
        '-j',
        '-m',
        'POST',
        '-c',
        values.connections,
        '-d',
        String(seconds),
        '-H',
        'content-type=application/json',
        '-b',
        body,
        `${service.url}/callback`,
      ],
    ],
    { maxBuffer: 2 ** 24 },
  )
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

async function countRows(): Promise<number> {
  return Number((await db.query('SELECT count(*) AS count FROM callbacks')).rows[0].count)
}

function line(name: string, round: Round): string {
  return `${name} ${Math.round(round.perSecond)}/s, p50 ${round.p50Ms} ms, p99 ${round.p99Ms} ms`
}
