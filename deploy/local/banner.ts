import { relative } from 'node:path'
import type { EphemeralFolder } from './ephemeral-folder.ts'
import { hostInUrl, isLoopback, type ListenHosts } from './hosts.ts'
import type { RunConfig } from './settings.ts'

/** The addresses to open and the commands to try, printed when everything is up. */
export function banner(options: {
  config: RunConfig
  hosts: ListenHosts
  /** Whether callers of the callback service need a key. */
  needsKeys: boolean
  /** Whether the client service has a key for its callbacks. */
  hasEmitterKey: boolean
  urlFile: string | undefined
  /** Where the database is that is deleted at the end. */
  ephemeral: Pick<EphemeralFolder, 'path' | 'isInMemory' | 'freeBytes'> | undefined
  hasZipkin: boolean
  readyMs: number
}): string {
  const { config, hosts, needsKeys, hasEmitterKey, urlFile, ephemeral, hasZipkin, readyMs } = options
  const { callback, client } = config
  const callbackUrl = `http://${hostForPeople(hosts.callback)}:${callback.port}`
  const clientUrl = `http://${hostForPeople(hosts.client)}:${client.port}`
  const zipkin = new URL('/', config.tracing.zipkinUrl || 'http://127.0.0.1:9411').href
  const emits = hasEmitterKey || !needsKeys
  const key = needsKeys ? ` -H "X-API-Key: $KEY"` : ''
  // By default `make key` finds the embedded database alone.
  const makeKey = `    KEY=$(${ephemeral ? `DATABASE_URL="$(cat ${urlFile})" ` : ''}make key WORKSPACE=default ROLE=manage)\n`
  return `${ephemeral ? nothingKept(ephemeral) : ''}
  Open http://localhost:${callback.adminPort}/ to watch the callbacks: the live page.

  Ready after ${(readyMs / 1000).toFixed(1)} s. ${emits ? 'The client service sends a callback every 5 seconds. See what happens to it:' : WITHOUT_KEY}

  callback service   ${callbackUrl}/           metrics  http://localhost:${callback.adminPort}/metrics
  client service     ${clientUrl}/objects/7   faults   http://localhost:${client.adminPort}/config
  traces             ${hasZipkin ? zipkin : `no Zipkin at ${zipkin}: \`make zipkin\` starts one`}
  database           ${urlFile === undefined ? 'your own, from DATABASE_URL' : `psql "$(cat ${ephemeral ? urlFile : relative(process.cwd(), urlFile)})"`}

  Send one yourself, then read the objects it names:

${needsKeys ? makeKey : ''}    curl -i ${callbackUrl}/callback${key} -H 'Content-Type: application/json' -d '{"object_ids":[2,4,7]}'
    curl ${callbackUrl}/v1/objects${key}

  ${reachOf(hosts.callback)}
  Ctrl-C stops everything.
`
}

function nothingKept({ path, isInMemory, freeBytes }: { path: string; isInMemory: boolean; freeBytes: number }): string {
  const place = isInMemory ? `in memory, in ${path}` : `in the temporary folder ${path}, because /dev/shm has too little room`
  return `
  NOTHING IS KEPT. The database is ${place}, with ${(freeBytes / 2 ** 30).toFixed(1)} GiB of room.
  A crash of this machine loses it, and it is deleted at the end. Each 202 says "durability":"none".
`
}

const WITHOUT_KEY = `Every caller needs a key, and the client service has none, so its callbacks are refused.
  Start again with CALLBACK_SERVICE_KEY=... (a key of role send) or ACCESS_SUPERUSER_KEYS=...
`

function hostForPeople(host: string): string {
  const inUrl = hostInUrl(host)
  return inUrl === '127.0.0.1' ? 'localhost' : inUrl
}

/** Says in one line who can reach the callback service, and how to open it. */
function reachOf(host: string): string {
  if (!isLoopback(host)) return `The callback service listens on ${host}.`
  return 'Only this machine can reach the services. To open them to others: HTTP_HOST=0.0.0.0 make run, best with ACCESS_SUPERUSER_KEYS=...'
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
