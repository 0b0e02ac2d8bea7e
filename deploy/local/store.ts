import type { RunConfig } from './settings.ts'
import { SetupError } from './setup-error.ts'

/** Where `make run` stores callbacks: in its own PostgreSQL, in one of the user, or in one that is deleted at the end. */
export type Store = 'embedded' | 'external' | 'ephemeral'

/**
 * Chooses the store. A setting that the store would ignore is an error, because the user may rely on it.
 * @param env the setting of the callback service comes from here
 * @throws {SetupError} the settings contradict each other
 */
export function storeOf({ store, database }: RunConfig, env: Readonly<Record<string, string | undefined>>): Store {
  const hasUrl = database.url !== ''
  const chosen = store === 'auto' ? (hasUrl ? 'external' : 'embedded') : store
  if (chosen === 'external' && !hasUrl) throw contradiction('STORE=external needs DATABASE_URL: set it to your PostgreSQL')
  if (chosen !== 'external' && hasUrl)
    throw contradiction(`STORE=${chosen} starts its own PostgreSQL, but DATABASE_URL is set: unset it, or use STORE=external`)
  if (chosen === 'ephemeral' && env['DATABASE_DURABILITY'] === 'full')
    throw contradiction('STORE=ephemeral keeps nothing, but DATABASE_DURABILITY is full: unset it, or use STORE=embedded')
  return chosen
}

/**
 * Settings of the callback service for a PostgreSQL of `make run`. `DATABASE_SESSION_URL` would lead to another one.
 * @param ephemeralFolder where nothing is kept; undefined if all is kept
 */
export function ownStoreEnv(
  url: string,
  ephemeralFolder: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const own = { DATABASE_URL: url, DATABASE_SESSION_URL: '' }
  if (ephemeralFolder === undefined) return own
  return {
    ...own,
    DATABASE_DURABILITY: 'none',
    SPOOL_PATH: `${ephemeralFolder}/spool/callbacks.sqlite`,
    // All of it takes memory, so there is less by default.
    SPOOL_MAX_BYTES: env['SPOOL_MAX_BYTES'] ?? '67108864',
    CALLBACKS_RETENTION_SECONDS: env['CALLBACKS_RETENTION_SECONDS'] ?? '600',
  }
}

function contradiction(message: string): SetupError {
  return new SetupError('invalid_setting', message)
}
