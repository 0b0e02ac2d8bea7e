import { relative } from 'node:path'
import type { RunConfig } from './settings.ts'

/** What a person may open and try, once all is up. */
export function banner(options: { config: RunConfig; urlFile: string | undefined; hasZipkin: boolean; readyMs: number }): string {
  const { config, urlFile, hasZipkin, readyMs } = options
  const { callback, client } = config
  const zipkin = new URL('/', config.tracing.zipkinUrl || 'http://127.0.0.1:9411').href
  return `
  Ready after ${(readyMs / 1000).toFixed(1)} s. Every 5 seconds the client service sends a callback; what becomes of it:

  callback service   http://localhost:${callback.port}/           metrics  http://localhost:${callback.adminPort}/metrics
  client service     http://localhost:${client.port}/objects/7   faults   http://localhost:${client.adminPort}/config
  traces             ${hasZipkin ? zipkin : `no Zipkin answers at ${zipkin}: \`make zipkin\` starts one`}
  database           ${urlFile === undefined ? 'yours, by DATABASE_URL' : `psql "$(cat ${relative(process.cwd(), urlFile)})"`}

  Send one yourself, and look at what it brought:

    curl -i http://localhost:${callback.port}/callback -H 'Content-Type: application/json' -d '{"object_ids":[2,4,7]}'
    curl http://localhost:${callback.port}/v1/objects

  Ctrl-C stops everything.
`
}

/** Whether a Zipkin answers where spans are sent. */
export async function answersZipkin(zipkinUrl: string): Promise<boolean> {
  if (zipkinUrl === '') return false
  try {
    const response = await fetch(new URL('/health', zipkinUrl), { signal: AbortSignal.timeout(1000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
