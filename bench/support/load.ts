import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { withClient } from '../../test/support/database.ts'

export interface Load {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly body: string
  /** The key of the sender, if the service wants one. */
  readonly key?: string | undefined
  /** Callbacks per second, all connections together (default: as many as possible). */
  readonly rate?: number | undefined
}

/** The answers that the load got, all of them 2xx. */
export interface Answers {
  readonly answers: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const autocannon = createRequire(import.meta.url).resolve('autocannon')

/**
 * Sends as many callbacks as the connections can, each one after the other, from a separate process.
 * @throws {Error} an answer is not 2xx
 */
export async function load(options: Load): Promise<Answers> {
  const result = await reportOf(options)
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} refused, ${result.errors} failed`)
  return { answers: result['2xx'], perSecond: result['2xx'] / result.duration, p50Ms: result.latency.p50, p99Ms: result.latency.p99 }
}

/** Sends a load of which the service refuses a part. @returns the number of callbacks accepted and refused @throws {Error} a request failed */
export async function loadBeyondLimit(options: Load): Promise<{ accepted: number; refused: number }> {
  const result = await reportOf(options)
  if (result.errors > 0) throw new Error(`${result.errors} failed`)
  return { accepted: result['2xx'], refused: result.non2xx }
}

async function reportOf({ url, connections, seconds, body, key, rate }: Load): Promise<Report> {
  const args = [
    ...['-j', '-m', 'POST', '-c', `${connections}`, '-d', `${seconds}`, '-H', 'content-type=application/json', '-b', body],
    ...(key === undefined ? [] : ['-H', `x-api-key=${key}`]),
    ...(rate === undefined ? [] : ['-R', `${rate}`]),
  ]
  const { stdout } = await promisify(execFile)(process.execPath, [autocannon, ...args, `${url}/callback`], { maxBuffer: 2 ** 24 })
  return JSON.parse(stdout) as Report
}

interface Report {
  readonly '2xx': number
  readonly non2xx: number
  readonly errors: number
  readonly duration: number
  readonly latency: { readonly p50: number; readonly p99: number }
}

/** Sends a load like `load`, and checks that each 202 is a row. @throws {Error} there are fewer rows than answers */
export async function loadAndCount(options: Load, databaseUrl: string, table = 'callbacks'): Promise<Answers> {
  const before = await countRows(databaseUrl, table)
  const answers = await load(options)
  const stored = (await countRows(databaseUrl, table)) - before
  if (stored < answers.answers) throw new Error(`${answers.answers} callbacks were answered with 202, ${stored} stored`)
  return answers
}

export function callbackOf(ids: readonly number[]): string {
  return `{"object_ids":[${ids.join(',')}]}`
}

export function countRows(databaseUrl: string, table: string): Promise<number> {
  return withClient(databaseUrl, async client => Number((await client.query(`SELECT count(*) AS count FROM ${table}`)).rows[0].count))
}
