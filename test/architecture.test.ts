import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SERVICES = ['callback-service', 'client-service']
/** The agent has no port but that for operators, so no room `api`. */
const AGENT = 'agent'

/** What both services that fetch objects share: `fetching` has the rules, without any library but p-limit; `fetching/client` sends the requests. */
const FETCHING: Readonly<Record<string, { rooms: readonly string[]; packages: readonly string[] }>> = {
  fetching: { rooms: ['fetching'], packages: ['p-limit'] },
  'fetching/client': { rooms: ['fetching', 'fetching/client', 'foundation'], packages: ['node', 'undici'] },
}

/** What a room may import: other rooms of its service, `foundation`, `#prisma`, npm packages, node. `*` is any package. */
const RULES: Readonly<Record<string, { rooms: readonly string[]; packages: readonly string[] }>> = {
  domain: { rooms: ['domain', 'fetching'], packages: ['p-limit'] },
  api: { rooms: ['api', 'domain', 'fetching', 'foundation'], packages: ['node', 'express', 'typebox', 'p-limit'] },
  workers: { rooms: ['workers', 'domain', 'fetching', 'foundation'], packages: ['node'] },
  adapters: { rooms: ['adapters', 'domain', 'fetching', 'fetching/client', 'foundation', '#prisma'], packages: ['*'] },
  web: { rooms: ['web'], packages: ['preact', 'preact/hooks', 'htm/preact', 'uplot'] },
  'metrics.ts': { rooms: ['domain', 'fetching/client', 'foundation'], packages: [] },
  'config.ts': { rooms: ['domain', 'fetching/client', 'foundation'], packages: [] },
  'config-checks.ts': { rooms: ['adapters', 'domain', 'fetching/client', 'config.ts'], packages: [] },
  wiring: {
    rooms: [
      'wiring',
      'api',
      'workers',
      'adapters',
      'domain',
      'config.ts',
      'metrics.ts',
      'fetching',
      'fetching/client',
      'foundation',
      '#prisma',
    ],
    packages: ['node'],
  },
  'service.ts': {
    rooms: [
      'wiring',
      'api',
      'workers',
      'adapters',
      'domain',
      'config.ts',
      'config-checks.ts',
      'metrics.ts',
      'fetching',
      'fetching/client',
      'foundation',
      '#prisma',
    ],
    packages: ['node'],
  },
  'make-key.ts': { rooms: ['adapters', 'domain', 'config.ts', 'foundation'], packages: [] },
  'main.ts': { rooms: ['service.ts', 'config.ts', 'config-checks.ts', 'foundation'], packages: ['node'] },
}

/** The files that may import each library of an outside system. */
const ADAPTERS_OF: Readonly<Record<string, readonly string[]>> = {
  undici: [
    'agent/adapters/answerback-client.ts',
    'agent/adapters/bounded-answer.ts',
    'callback-service/adapters/client-service/switch-client.ts',
    'client-service/adapters/callback-client.ts',
    'fetching/client/answer-reader.ts',
    'fetching/client/object-client.ts',
  ],
  '@prisma/adapter-pg': ['callback-service/adapters/postgres/database.ts'],
  standardwebhooks: ['client-service/adapters/callback-client.ts'],
  'node:sqlite': ['callback-service/adapters/spool/spool-database.ts', 'callback-service/adapters/spool/spool-file.ts'],
  pg: [
    'callback-service/adapters/postgres/database.ts',
    'callback-service/adapters/postgres/connection.ts',
    'callback-service/adapters/postgres/durability.ts',
    'callback-service/adapters/postgres/worker-row.ts',
    'callback-service/adapters/postgres/worker-session.ts',
  ],
}

interface Import {
  readonly file: string
  readonly target: string
}

describe('architecture', () => {
  const files = globSync('services/**/*.ts', { cwd: ROOT }).filter(file => !file.includes('/test/'))
  const imports = files.flatMap(file => importsOf(file).map(target => ({ file, target })))

  it('finds the rooms', () => {
    assert.ok(imports.length > 150, `only ${imports.length} imports found`)
    for (const service of [...SERVICES, AGENT]) {
      for (const room of [...(service === AGENT ? [] : ['api']), 'domain', 'workers', 'adapters', 'service.ts', 'config.ts', 'main.ts']) {
        assert.ok(
          files.some(file => file.startsWith(`services/${service}/${room}`)),
          `${service}/${room}`,
        )
      }
    }
  })

  it('keeps each room to what it may import', () => {
    const broken = imports
      .filter(({ file }) => !file.startsWith('services/foundation/'))
      .filter(({ file, target }) => !isAllowed(file, target))
    assert.deepEqual(broken, [])
  })

  it('keeps foundation free of the services', () => {
    const broken = imports.filter(
      ({ file, target }) =>
        file.startsWith('services/foundation/') &&
        (target.startsWith('services/') ? !target.startsWith('services/foundation/') : target.startsWith('#prisma')),
    )
    assert.deepEqual(broken, [])
  })

  it('lets only the adapters of an outside system import its library', () => {
    for (const [library, allowed] of Object.entries(ADAPTERS_OF)) {
      const users = imports
        .filter(({ file, target }) => target === library && !file.startsWith('services/foundation/'))
        .map(({ file }) => file.replace('services/', ''))
      assert.deepEqual(users.toSorted(), allowed.toSorted(), library)
    }
  })

  it('reads the environment in programs alone', () => {
    const readers = files.filter(file => read(file).includes('process.env'))
    assert.deepEqual(readers.toSorted(), ['services/callback-service/make-key.ts', 'services/foundation/lifecycle/run.ts'])
  })

  it('has no cycle', () => {
    const graph = Map.groupBy(imports, ({ file }) => file)
    const visit = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), [...path, file].join(' > '))
      if (done.has(file)) return
      for (const { target } of graph.get(file) ?? []) visit(target, [...path, file])
      done.add(file)
    }
    const done = new Set<string>()
    for (const file of files) visit(file, [])
  })

  it('catches a forbidden import when there is one', () => {
    assert.equal(isAllowed('services/callback-service/domain/accepting/parse-callback.ts', 'undici'), false)
    assert.equal(
      isAllowed('services/callback-service/api/callbacks/post-callback.ts', 'services/callback-service/adapters/postgres/database.ts'),
      false,
    )
    assert.equal(isAllowed('services/callback-service/service.ts', 'services/client-service/config.ts'), false)
    assert.equal(isAllowed('services/callback-service/domain/accepting/parse-callback.ts', 'services/fetching/object-id.ts'), true)
  })
})

function isAllowed(file: string, target: string): boolean {
  const [, service = '', room = ''] = file.split('/')
  const rule = service === 'fetching' ? FETCHING[fetchingRoomOf(file)] : RULES[room]
  if (!rule) return false
  if (target.startsWith('services/')) {
    const [, owner = '', targetRoom = ''] = target.split('/')
    if (owner === 'fetching') return rule.rooms.includes(fetchingRoomOf(target))
    return owner === 'foundation' ? rule.rooms.includes('foundation') : owner === service && rule.rooms.includes(targetRoom)
  }
  if (target.startsWith('#prisma')) return rule.rooms.includes('#prisma')
  const name = target.startsWith('node:') ? 'node' : target
  return rule.packages.includes('*') || rule.packages.includes(name)
}

function fetchingRoomOf(file: string): string {
  return file.startsWith('services/fetching/client/') ? 'fetching/client' : 'fetching'
}

/** Lists what a file imports: paths from the root for our own files, names for packages. Type imports count, because they couple too. */
function importsOf(file: string): Import['target'][] {
  const found = read(file).matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g,
  )
  return [...found].map(([, from, dynamic, bare]) => {
    const target = (from ?? dynamic ?? bare) as string
    if (/^#(foundation|fetching)\//.test(target)) return target.replace('#', 'services/')
    return target.startsWith('.') ? normalize(join(dirname(file), target)) : target
  })
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}
