import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

/** Makes a change of who may do what. @param what the log line, if the change was made @param fields those of the line */
export type ChangeAccess = <T>(what: string, fields: (result: T) => object, change: () => Promise<T>) => Promise<T>

/** Makes changes and logs them. This replica knows of a change before it answers. If it cannot look now, it looks again within a second. */
export function changingAccess(directory: { refresh(): Promise<void> }, logger: Logger): ChangeAccess {
  return async (what, fields, change) => {
    const result = await change()
    if (result) logger.info(fields(result), what)
    await directory.refresh().catch(error => {
      if (!isStorageTrouble(error)) throw error
    })
    return result
  }
}
