const LOOPBACK = '127.0.0.1'
const ANY = '0.0.0.0'

/** The addresses that the services listen on. */
export interface ListenHosts {
  readonly callback: string
  readonly client: string
}

/**
 * Chooses the addresses to listen on. While nobody needs a key, everybody who reaches the callback service may do everything, so it listens on
 * loopback. The client service has no keys at all.
 * @param wanted the address that the user chose for both; empty: none
 * @param env the access settings of the callback service come from here
 */
export function listenHosts(wanted: string, env: Readonly<Record<string, string | undefined>>): ListenHosts {
  return { callback: wanted || (needsKeys(env) ? ANY : LOOPBACK), client: wanted || LOOPBACK }
}

/** Whether callers of the callback service need a key. @param env its access settings come from here */
export function needsKeys(env: Readonly<Record<string, string | undefined>>): boolean {
  return env['ACCESS_MODE'] === 'keys' || Boolean(env['ACCESS_SUPERUSER_KEYS']?.trim())
}

/** The key of the emitter: by default the first superuser key, if there is one. */
export function emitterKey(env: Readonly<Record<string, string | undefined>>): string | undefined {
  return env['CALLBACK_SERVICE_KEY'] || env['ACCESS_SUPERUSER_KEYS']?.trim().split(/\s+/)[0]
}

/** The host in URLs by which this machine reaches a service that listens on `host`. */
export function hostInUrl(host: string): string {
  if (host === ANY || host === '::') return LOOPBACK
  return host.includes(':') ? `[${host}]` : host
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
