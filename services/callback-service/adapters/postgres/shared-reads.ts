import { Batcher, BatchTimeoutError } from '#foundation/batcher.ts'
import type { PrismaClient } from '#prisma'
import type { CallbackView } from '../../domain/callback.ts'
import type { CallbackKey } from '../../domain/steering/steered.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { findCallbacks } from './callback-reader.ts'

/** Reads of single callbacks that share statements. They are for requests that all come at the same moment, such as the end of a wait. */
export class SharedReads {
  readonly #batcher: Batcher<CallbackKey, CallbackView | undefined>

  constructor({ prisma, timeoutMs }: { readonly prisma: PrismaClient; readonly timeoutMs: number }) {
    this.#batcher = new Batcher({ write: keys => findCallbacks(prisma, keys), maxBatch: 100, timeoutMs })
  }

  /** @returns undefined if there is no such callback, or no longer @throws {StorageUnavailableError} */
  async find(workspace: string, id: string): Promise<CallbackView | undefined> {
    try {
      return await this.#batcher.add({ workspace, id })
    } catch (error) {
      if (error instanceof BatchTimeoutError) throw new StorageUnavailableError('the database did not answer in time', { cause: error })
      throw error
    }
  }
}
