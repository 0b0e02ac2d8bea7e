/** The database could not execute a statement now, or the outcome is unknown. The caller should try again. */
export class StorageUnavailableError extends Error {
  readonly code = 'storage_unavailable'
}

/** Our database user lacks a right. The storage watch may not notice that, so the part that needs the right logs it. */
export class RightMissingError extends StorageUnavailableError {}

/** The database refused a value. Trying again cannot help. The other rows of the same statement are not to blame. */
export class ValueRefusedError extends Error {
  readonly code = 'value_refused'
}

/** Whether the storage watch reports this error already. Then nobody else needs to log it. */
export function isStorageTrouble(error: unknown): boolean {
  return error instanceof StorageUnavailableError && !(error instanceof RightMissingError)
}
