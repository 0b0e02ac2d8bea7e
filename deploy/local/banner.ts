import { relative } from 'node:path'
import type { RunConfig } from './settings.ts'

/** The addresses to open and the commands to try, printed when everything is up. */
export function banner(options: { config: RunConfig; urlFile: string | undefined; hasZipkin: boolean; readyMs: number }): string {
  const { config, urlFile, hasZipkin, readyMs } = options
  const { callback, client } = config
  const zipkin = new URL('/', config.tracing.zipkinUrl || 'http://127.0.0.1:9411').href
  return `
  Ready after ${(readyMs / 1000).toFixed(1)} s. The client service sends a callback every 5 seconds. See what happens to it:

  callback service   http://localhost:${callback.port}/           metrics  http://localhost:${callback.adminPort}/metrics
  client service     http://localhost:${client.port}/objects/7   faults   http://localhost:${client.adminPort}/config
  traces             ${hasZipkin ? zipkin : `no Zipkin at ${zipkin}: \`make zipkin\` starts one`}
  database           ${urlFile === undefined ? 'your own, from DATABASE_URL' : `psql "$(cat ${relative(process.cwd(), urlFile)})"`}

  Send one yourself, then read the objects it names:

    curl -i http://localhost:${callback.port}/callback -H 'Content-Type: application/json' -d '{"object_ids":[2,4,7]}'
    curl http://localhost:${callback.port}/v1/objects

  Ctrl-C stops everything.
`
}

/** Whether a Zipkin answers at the address that receives the spans. */
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
