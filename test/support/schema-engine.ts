import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { PrismaPg } from '@prisma/adapter-pg'
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils'
import { SchemaEngine } from '@prisma/schema-engine-wasm'
import pg from 'pg'
import { readMigrations } from '#prisma/migrate.ts'

const EVERYTHING = { externalTables: [], externalEnums: [] }

/**
 * Returns the output of `prisma migrate diff --from-empty --to-schema --script`, Prisma's own SQL for our schema, without its CLI.
 * @param url a database that the engine can connect to; it does not change
 */
export async function sqlOfSchema(url: string): Promise<string> {
  const file = await schemaFile()
  return withEngine(url, async engine => {
    const { stdout } = await engine.diff({
      from: { tag: 'empty' },
      to: { tag: 'schemaDatamodel', files: [file] },
      script: true,
      exitCode: null,
      filters: EVERYTHING,
    })
    return stdout ?? ''
  })
}

/**
 * Does the same as `prisma migrate deploy`, in a separate process, because the engine's timer for Prisma's lock keeps a process alive for
 * 10 s.
 * @returns the names of the migrations that it applied
 */
export async function deployWithPrisma(url: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), url])
  return JSON.parse(stdout) as string[]
}

async function deploy(url: string): Promise<string[]> {
  const migrations = await readMigrations()
  return withEngine(url, async engine => {
    const { appliedMigrationNames } = await engine.applyMigrations({
      migrationsList: {
        baseDir: '/',
        lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
        shadowDbInitScript: '',
        migrationDirectories: migrations.map(({ name, sql }) => ({
          path: name,
          migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql } },
        })),
      },
      filters: EVERYTHING,
    })
    return appliedMigrationNames
  })
}

async function withEngine<T>(url: string, work: (engine: SchemaEngine) => Promise<T>): Promise<T> {
  const { path, content } = await schemaFile()
  // The engine's connection holds Prisma's lock, so it must end here. With our own pool, we can end it.
  const pool = new pg.Pool({ connectionString: url })
  const engine = await SchemaEngine.new(
    { datamodels: [[path, content]] },
    () => {},
    bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool)),
  )
  try {
    return await work(engine)
  } finally {
    engine.free()
    await pool.end()
  }
}

async function schemaFile(): Promise<{ path: string; content: string }> {
  const path = 'schema.prisma'
  return { path, content: await readFile(new URL(`../../prisma/${path}`, import.meta.url), 'utf8') }
}

if (import.meta.main) {
  process.stdout.write(JSON.stringify(await deploy(String(process.argv[2]))), () => process.exit())
}
