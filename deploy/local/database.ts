import { rm, writeFile } from 'node:fs/promises'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { explainMigrationError, migrate } from '#prisma/migrate.ts'
import { keepAlive } from './keep-alive.ts'
import { LocalPostgres } from './postgres.ts'
import { SetupError } from './setup-error.ts'

const NAME = 'answerback'

export interface LocalDatabaseOptions {
  readonly folder: string
  readonly port: number
  readonly urlFile: string
  /** Whether nothing is kept, see LocalPostgres. */
  readonly isEphemeral?: boolean
  readonly binariesFolder?: string
  readonly say: (line: string) => void
  /** Called when the server cannot be restarted. */
  readonly onGivenUp: (error: SetupError) => void
}

/**
 * The embedded server with our migrated database. While it runs, `urlFile` contains its URL, for `psql` and our own commands.
 * A server that dies is restarted. It recovers and loses nothing that was committed.
 */
export class LocalDatabase implements Part {
  readonly name = 'database'
  readonly #options: LocalDatabaseOptions
  readonly #server: LocalPostgres
  #isStopping = false

  constructor(options: LocalDatabaseOptions) {
    this.#options = options
    this.#server = new LocalPostgres(options)
  }

  /** The URL of the database. Valid after the start. */
  get url(): string {
    return this.#server.url(NAME)
  }

  /** @throws {SetupError} the server does not start, or the database cannot be migrated */
  async start(): Promise<void> {
    await this.#server.start()
    await this.#server.createDatabase(NAME)
    await migrateDatabase(this.url, this.#options.say)
    await writeFile(this.#options.urlFile, `${this.url}\n`, { mode: 0o600 })
    void keepAlive({
      name: 'PostgreSQL',
      ended: () => this.#server.exited.then(() => `its logs are in ${this.#options.folder}`),
      restart: () => this.#server.start(),
      isStopping: () => this.#isStopping,
      say: this.#options.say,
      onGivenUp: this.#options.onGivenUp,
    })
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#server.stop()
    await rm(this.#options.urlFile, { force: true })
  }

  kill(): void {
    this.#isStopping = true
    this.#server.kill()
  }
}

/** @throws {SetupError} it cannot be reached or migrated */
export async function migrateDatabase(url: string, say: (line: string) => void): Promise<void> {
  try {
    for (const migration of await migrate({ url })) say(`migrated the database: ${migration}`)
  } catch (cause) {
    throw new SetupError('migration_failed', explainMigrationError(cause), { cause })
  }
}
