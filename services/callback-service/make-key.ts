import { ConfigError, helpText, setting } from '#foundation/config/schema.ts'
import { Settings } from '#foundation/config/settings.ts'
import { createLogger } from '#foundation/telemetry/logger.ts'
import { AccessChanges } from './adapters/postgres/access-changes.ts'
import { AccessKeyStore } from './adapters/postgres/access-key-store.ts'
import { Database } from './adapters/postgres/database.ts'
import { WorkspaceStore } from './adapters/postgres/workspace-store.ts'
import { schema as service } from './config.ts'
import { StorageUnavailableError } from './domain/storage-errors.ts'
import { WORKSPACE_ROLES } from './domain/workspaces/caller.ts'
import { MAX_KEY_NAME } from './domain/workspaces/parse-new-key.ts'
import { WORKSPACE_NAME } from './domain/workspaces/workspace.ts'
import { WorkspaceConflictError } from './domain/workspaces/workspace-conflict.ts'

/**
 * `make key` makes a key and prints it, alone, on standard output. It writes to the database directly, so it can make the first key of a
 * service that lets nobody in without one. All else goes to standard error. Exit codes: 0, 1 for trouble, 2 for wrong arguments.
 */
const schema = {
  database: { url: service.database.url },
  workspaces: service.workspaces,
  workspace: setting<string>({ doc: 'Workspace of the key. It is created if it does not exist.', format: 'text', default: null }),
  role: setting<(typeof WORKSPACE_ROLES)[number]>({
    doc: `Role of the key: ${WORKSPACE_ROLES.join(', ')}.`,
    format: WORKSPACE_ROLES,
    default: null,
  }),
  keyName: setting<string>({ doc: 'Name of the key, for people. It may be empty.', format: 'text', default: '' }),
}

type Options = Settings<typeof schema>['current']

if (process.argv.includes('--help')) process.stdout.write(helpText('node services/callback-service/make-key.ts', schema))
else {
  try {
    process.stdout.write(`${await makeKey(new Settings(schema, { argv: process.argv.slice(2), env: process.env, check }).current)}\n`)
  } catch (error) {
    const isKnown = error instanceof ConfigError || error instanceof StorageUnavailableError || error instanceof WorkspaceConflictError
    if (!isKnown) throw error
    say(error.message)
    process.exitCode = error instanceof ConfigError ? 2 : 1
  }
}

function check({ workspace, keyName }: Options): string | undefined {
  if (!WORKSPACE_NAME.test(workspace)) return 'workspace must have 1 to 64 characters: A to Z, a to z, 0 to 9, _ and -'
  if ([...keyName].length > MAX_KEY_NAME || /\p{Cc}/u.test(keyName)) return `keyName must have at most ${MAX_KEY_NAME} printable characters`
  return undefined
}

async function makeKey({ database: { url }, workspaces: bounds, workspace, role, keyName }: Options): Promise<string> {
  const logger = await createLogger('make-key', 'silent')
  const database = new Database({ name: 'make-key', url, maxConnections: 1, connectTimeoutMs: 5000, queryTimeoutMs: 5000, logger })
  try {
    const { prisma } = database
    const changes = new AccessChanges(prisma)
    const workspaces = new WorkspaceStore({ changes, prisma, maxWorkspaces: bounds.max, maxClientServices: bounds.maxClientServices })
    const keys = new AccessKeyStore({ changes, work: prisma, read: prisma })
    if (!(await workspaces.find(workspace))) await create(workspaces, workspace)
    const made = await keys.create(workspace, { role, name: keyName, expiresAt: null, agentId: null })
    if (!made) throw new Error(`the workspace ${workspace} has vanished`)
    return made.key
  } finally {
    await database.stop()
  }
}

async function create(workspaces: WorkspaceStore, name: string): Promise<void> {
  try {
    await workspaces.create({ name })
    say(`created the workspace ${name}`)
  } catch (error) {
    // Somebody else has just created it.
    if (!(error instanceof WorkspaceConflictError && error.code === 'workspace_exists')) throw error
  }
}

function say(text: string): void {
  process.stderr.write(`make-key: ${text.replaceAll('\n', '\nmake-key: ')}\n`)
}
