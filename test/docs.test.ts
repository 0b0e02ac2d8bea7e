import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Schema, settingRows } from '#foundation/config/schema.ts'
import type { Route } from '#foundation/http/route.ts'
import { createRegistry, httpMetrics, type Registry } from '#foundation/telemetry/metrics.ts'
import { block, blockOf, type Result } from '../bench/support/result.ts'
import { schema as runSchema } from '../deploy/local/settings.ts'
import { schema as agentSchema } from '../services/agent/config.ts'
import { LIVE_GAUGES as AGENT_GAUGES, agentMetrics } from '../services/agent/metrics.ts'
import { PROBLEMS } from '../services/callback-service/api/problem-kinds.ts'
import { schema as callbackSchema } from '../services/callback-service/config.ts'
import { callbackMetrics, LIVE_GAUGES } from '../services/callback-service/metrics.ts'
import { schema as clientSchema } from '../services/client-service/config.ts'
import { adminPortRoutes, callbackPortRoutes } from './support/routes.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

describe('the documentation', () => {
  const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

  for (const [service, schema] of [
    ['callback-service', callbackSchema],
    ['agent', agentSchema],
    ['client-service', clientSchema],
    ['make run', runSchema],
  ] as const) {
    it(`lists every setting of ${service} as it is, and no other`, () => {
      const section = read('docs/configuration.md').split(`## ${service}\n`)[1]?.split('\n## ')[0] ?? ''
      const rows = section.split('\n').filter(line => line.startsWith('| `'))
      assert.deepEqual(rows, settingsTable(schema))
    })
  }

  it('lists every problem that the callback service can return, and no other', () => {
    const rows = read('docs/http-api.md').match(/^\| \d{3} \| `[a-z_]+` \|.*$/gm) ?? []
    const all = Object.entries(PROBLEMS).map(([code, { status, title }]) => `| ${status} | \`${code}\` | ${title} |`)
    assert.deepEqual(rows, all.toSorted())
  })

  for (const [port, routes] of Object.entries({ "The sender's port": callbackPortRoutes(), 'Admin port': adminPortRoutes() })) {
    it(`lists every operation of the port: ${port}`, () => {
      const section = read('docs/http-api.md').split(`## ${port}\n`)[1]?.split('\n## ')[0] ?? ''
      const rows = section.split('\n').filter(line => line.startsWith('| `'))
      assert.deepEqual(rows, routes.map(operationRow))
    })
  }

  it('names every metric of the callback service', () => {
    const registry = createRegistry()
    callbackMetrics(registry)
    httpMetrics(registry)
    assert.deepEqual(unnamed(registry, 'docs/operations.md', Object.keys(LIVE_GAUGES)), [])
  })

  it('names every metric of the agent', () => {
    const registry = createRegistry()
    const none = Object.keys(AGENT_GAUGES).map(name => [name, () => 0])
    agentMetrics(registry, Object.fromEntries(none))
    assert.deepEqual(unnamed(registry, 'docs/agents.md'), [])
  })

  function unnamed(registry: Registry, file: string, more: readonly string[] = []): string[] {
    const text = read(file)
    const names = [...registry.getMetricsAsArray().map(metric => metric.name), ...more]
    return names.filter(name => !/^(process|nodejs)_/.test(name) && !text.includes(`\`${name}`))
  }

  for (const file of globSync('bench/*.ts', { cwd: ROOT })) {
    const name = basename(file, '.ts')
    it(`shows the figures of the benchmark ${name} as they were measured`, () => {
      const result = JSON.parse(read(`bench/results/${name}.json`)) as Result
      assert.equal(blockOf(name).exec(read('docs/performance.md'))?.[0], block(result))
    })
  }

  it('has no broken link', () => {
    const broken = globSync(['README.md', 'docs/**/*.md'], { cwd: ROOT }).flatMap(file =>
      [...read(file).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, link]) => join(dirname(file), link as string))
        .filter(target => !existsSync(join(ROOT, target))),
    )
    assert.deepEqual(broken, [])
  })
})

/** Makes the row of docs/http-api.md for a route. On a mismatch, the test prints the right rows. */
function operationRow({ method, path, query, operationId, summary }: Route): string {
  const parameters = Object.keys(query?.properties ?? {})
  const question = parameters.length > 0 ? `?${parameters.map(name => `${name}=`).join('&')}` : ''
  return `| \`${method} ${path}${question}\` | \`${operationId}\` | ${summary} |`
}

/** Makes the rows of docs/configuration.md. On a mismatch, the test prints the right rows. */
function settingsTable(schema: Schema): string[] {
  return settingRows(schema).map(row => {
    const fallback = row.default === null ? 'required' : `\`${JSON.stringify(row.default)}\``
    return `| \`${row.path}\` | \`${row.env}\` | ${fallback} | ${row.hot ? 'yes' : ''} | ${row.doc} |`
  })
}
