/** The database could not do it now, or nobody knows whether it did. Trying again is right. */
export class StorageUnavailableError extends Error {
  readonly code = 'storage_unavailable'
}

/** Our database user may not do it. The storage watch may all the same find the database well: whoever lacks the right says so. */
export class RightMissingError extends StorageUnavailableError {}

/** The database refused a value. Trying again is useless, and others in the same statement are innocent. */
export class ValueRefusedError extends Error {
  readonly code = 'value_refused'
}

/** Trouble that the storage watch reports: whoever else runs into it need not. */
export function isStorageTrouble(error: unknown): boolean {
  return error instanceof StorageUnavailableError && !(error instanceof RightMissingError)
}
