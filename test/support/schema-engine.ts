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
 * What `prisma migrate diff --from-empty --to-schema --script` prints: Prisma's own idea of our schema, without its CLI.
 * @param url a database the engine may talk to; it stays as it is
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
 * What `prisma migrate deploy` does, in a process of its own: the engine's timer for Prisma's lock keeps a process alive for 10 s.
 * @returns the names of the migrations it applied
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
  // Our own pool, because the engine's connection must end with it: that connection holds Prisma's lock.
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
