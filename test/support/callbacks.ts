import assert from 'node:assert/strict'
import { until } from './eventually.ts'

export interface CallbackAnswer {
  readonly id: string
  readonly state: string
  readonly attempts: number
  readonly object_count: number
  readonly received_at: string
  readonly finished_at?: string
  readonly trace_id: string
  readonly objects: readonly { readonly id: number; readonly outcome: string; readonly reason?: string }[]
}

export interface Metrics {
  /** Returns the sum of a metric over all its labels. */
  total(name: string): number
}

export function postCallback(
  url: string,
  objectIds: readonly (number | string)[],
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/callback`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: `{"object_ids":[${objectIds.join(',')}]}`,
  })
}

/** Sends a callback that must be accepted. @returns its id */
export async function accept(url: string, objectIds: readonly (number | string)[], headers: Record<string, string> = {}): Promise<string> {
  const response = await postCallback(url, objectIds, headers)
  assert.equal(response.status, 202)
  return ((await response.json()) as CallbackAnswer).id
}

export async function readCallback(url: string, id: string): Promise<CallbackAnswer> {
  const response = await fetch(`${url}/v1/callbacks/${id}`)
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return JSON.parse(text) as CallbackAnswer
}

export function finished(url: string, id: string, timeoutMs?: number): Promise<CallbackAnswer> {
  return until(async () => {
    const callback = await readCallback(url, id)
    return callback.state === 'completed' || callback.state === 'failed' ? callback : undefined
  }, timeoutMs)
}

export async function patchConfig(adminUrl: string, changes: object): Promise<void> {
  const response = await fetch(`${adminUrl}/config`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(changes),
  })
  assert.equal(response.status, 200, await response.text())
}

export async function readMetrics(adminUrl: string): Promise<Metrics> {
  const lines = (await (await fetch(`${adminUrl}/metrics`)).text()).split('\n')
  return {
    total: name =>
      lines
        .filter(line => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0),
  }
}

/** Returns `count` consecutive integers, beginning with `from`. */
export function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i)
}
