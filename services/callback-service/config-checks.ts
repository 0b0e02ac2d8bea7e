import { fetchingContradictionIn } from '#fetching/client/settings.ts'
import { type Config, isLoopback } from './config.ts'
import { SIGNATURE_WINDOW_SECONDS } from './domain/accepting/signature-window.ts'
import { MIN_GUILTY_CRASHES } from './domain/processing/suspicion.ts'

/** Describes combinations that are allowed but risky, one sentence each. */
export function warningsAbout({ access, admin, callbacks, expiry, fetch, http, ledger }: Config): string[] {
  const isShortLived = expiry.ttlSeconds * 1000 < fetch.timeoutMs
  const isOpen = access.mode === 'open' && access.superuserKeys === ''
  const isExposed = isOpen && !isLoopback(http.host)
  const isPageExposed = isOpen && admin.page === 'on' && !isLoopback(admin.host)
  const isForgetful = ledger.retentionDays * 86_400 < callbacks.retentionSeconds
  return [
    ...(isShortLived ? ['expiry.ttlSeconds is below fetch.timeoutMs: a slow answer can restore an object that has expired'] : []),
    ...(isExposed ? ['everybody who reaches the port may do everything: set access.mode to keys, or http.host to 127.0.0.1'] : []),
    ...(isPageExposed ? ['everybody who reaches the admin port may do everything: publish it on loopback alone'] : []),
    ...(isForgetful
      ? ['ledger.retentionDays is shorter than callbacks.retentionSeconds: the ledger forgets callbacks with their rows']
      : []),
  ]
}

/** Describes the first contradiction between settings; undefined when there is none. */
export function contradictionIn(config: Config): string | undefined {
  const { accept, callbacks, database, process, senders, shutdown, spool } = config
  if (accept.timeoutMs > 2000)
    return 'accept.timeoutMs is above 2000: a sender must learn within 2 seconds that its callback was not stored'
  if (spool.patienceMs >= accept.timeoutMs)
    return 'spool.patienceMs must be below accept.timeoutMs: a callback that goes to the spool needs time to be written'
  if (accept.maxCommits > database.acceptConnections) return 'accept.maxCommits is above database.acceptConnections'
  const trouble = fetchingContradictionIn(config)
  if (trouble !== undefined) return trouble
  if (process.maxCrashes < MIN_GUILTY_CRASHES) return `process.maxCrashes is below ${MIN_GUILTY_CRASHES}: innocent callbacks would fail`
  if (process.retryBaseMs > process.retryMaxMs) return 'process.retryBaseMs is above process.retryMaxMs'
  if (senders.secrets !== '' && callbacks.retentionSeconds < SIGNATURE_WINDOW_SECONDS)
    return `callbacks.retentionSeconds is below ${SIGNATURE_WINDOW_SECONDS} while senders.secrets is set: a replayed signed callback could be accepted a second time`
  if (shutdown.delayMs >= shutdown.timeoutMs) return 'shutdown.delayMs must be below shutdown.timeoutMs: the service needs time to stop'
  return undefined
}
