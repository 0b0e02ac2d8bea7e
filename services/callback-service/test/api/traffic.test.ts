import assert from 'node:assert/strict'
import { adminServer } from '#foundation/admin/server.ts'
import { Settings } from '#foundation/config/settings.ts'
import type { HttpServer } from '#foundation/http/server.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { checkAnswers } from '../../../../test/support/check-answers.ts'
import { adminPortRoutes, documentOf } from '../../../../test/support/routes.ts'
import { setCaller } from '../../api/gates/caller-of.ts'
import { PROBLEMS } from '../../api/problem-kinds.ts'
import { toProblem } from '../../api/problems.ts'
import { getTraffic } from '../../api/traffic/get-traffic.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { MINUTE_MS, WINDOW_MINUTES } from '../../domain/traffic/traffic-minutes.ts'
import type { WorkspaceTraffic } from '../../domain/traffic/workspace-traffic.ts'
import type { Role } from '../../domain/workspaces/caller.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import { logger } from '../workers/silent-logger.ts'

const NOW = Date.UTC(2026, 0, 1, 12, 14, 30)
const FROM = Date.UTC(2026, 0, 1, 12)

describe('GET /v1/traffic', () => {
  let server: HttpServer
  let forget: () => void
  const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 0, logger })
  let asked: (string | undefined)[]
  let role: Role
  let name: string
  let workspaces: WorkspaceTraffic[]
  let isAway: boolean
  let completeFromMs: number

  before(() => telemetry.start())
  after(() => telemetry.stop())

  beforeEach(async () => {
    asked = []
    role = 'superuser'
    name = 'default'
    isAway = false
    workspaces = [traffic('default'), traffic('shop'), traffic('depot')]
    completeFromMs = FROM
    server = adminServer({
      port: 0,
      host: '127.0.0.1',
      allowedHosts: '',
      registry: createRegistry(),
      settings: new Settings({}, { argv: [], env: {} }),
      logger,
      routes: [
        getTraffic(async workspace => {
          asked.push(workspace)
          if (isAway) throw new StorageUnavailableError('away')
          return { fromMs: FROM, toMs: NOW, ageMs: 1200.4, completeFromMs, workspaces }
        }),
      ],
      gate: request => setCaller(request, { role, workspace: { ...BUILT_IN_DEFAULT, name }, key: undefined }),
      kinds: PROBLEMS,
      translate: toProblem,
    })
    await server.start()
    forget = checkAnswers(url(), await documentOf(adminPortRoutes()))
  })

  afterEach(async () => {
    forget()
    await server.stop()
  })

  const url = (): string => `http://127.0.0.1:${server.port}`

  function traffic(name: string, changes: Partial<WorkspaceTraffic> = {}): WorkspaceTraffic {
    return {
      workspace: { ...BUILT_IN_DEFAULT, name },
      received: Array(WINDOW_MINUTES).fill(0),
      failed: Array(WINDOW_MINUTES).fill(0),
      lastReceipt: { precision: 'none', atMs: null, usualGapMs: null },
      isSilent: false,
      unfinished: 0,
      paused: 0,
      limits: [],
      ...changes,
    }
  }

  async function get(query = ''): Promise<{ status: number; body: Record<string, unknown>; names: string[] }> {
    const response = await fetch(`${url()}/v1/traffic${query}`)
    const body = (await response.json()) as Record<string, unknown> & { workspaces?: { workspace: string }[] }
    return { status: response.status, body, names: (body.workspaces ?? []).map(({ workspace }) => workspace) }
  }

  it('tells of each workspace what it did in 15 minutes and how it is', async () => {
    workspaces = [
      traffic('shop', {
        received: [null, ...Array(13).fill(2), 5],
        failed: [null, ...Array(13).fill(0), 1],
        lastReceipt: { precision: 'exact', atMs: NOW - 5000, usualGapMs: 29_032.26 },
        isSilent: true,
        unfinished: 7,
        paused: 3,
        limits: [
          { name: 'requests_per_second', limit: 10, allowed: 10 / 3, used: 1 },
          { name: 'unfinished_callbacks', limit: 9, allowed: 9, used: null },
        ],
        workspace: { ...BUILT_IN_DEFAULT, name: 'shop', isPaused: true, archivedAt: new Date(0) },
      }),
    ]
    completeFromMs = FROM + MINUTE_MS
    const { body } = await get()
    assert.deepEqual(body, {
      kind: 'Traffic',
      href: '/v1/traffic?sort=traffic&limit=100',
      from: '2026-01-01T12:00:00.000Z',
      to: '2026-01-01T12:14:30.000Z',
      step_seconds: 60,
      age_ms: 1200,
      is_complete: false,
      complete_from: '2026-01-01T12:01:00.000Z',
      total: 1,
      workspaces: [
        {
          kind: 'WorkspaceTraffic',
          workspace: 'shop',
          href: '/v1/workspaces/shop',
          received: [null, ...Array(13).fill(2), 5],
          failed: [null, ...Array(13).fill(0), 1],
          received_total: 31,
          failed_total: 1,
          last_received_at: '2026-01-01T12:14:25.000Z',
          last_received_precision: 'exact',
          usual_gap_seconds: 29.032,
          is_silent: true,
          unfinished: 7,
          paused: 3,
          fetcher: 'service',
          is_paused: true,
          is_archived: true,
          limits: [
            { name: 'requests_per_second', limit: 10, allowed: 3.333, used: 1, share: 0.3 },
            { name: 'unfinished_callbacks', limit: 9, allowed: 9, used: null, share: null },
          ],
        },
      ],
    })
  })

  it('sorts, finds a part of a name in any case, and says how many match', async () => {
    workspaces.push(traffic('Toy-SHOP', { received: [9, ...Array(14).fill(0)] }))
    const { names, body } = await get('?name=shop')
    assert.deepEqual([names, body['total']], [['Toy-SHOP', 'shop'], 2])
    assert.deepEqual((await get('?sort=name&limit=3')).names, ['Toy-SHOP', 'default', 'depot'])
    assert.equal((await get('?limit=3&sort=name')).body['total'], 4)
  })

  it('asks for all workspaces if the caller is a superuser, and for one that it names', async () => {
    await get()
    name = 'shop'
    const { body } = await get('?workspace_id=shop')
    assert.deepEqual(asked, [undefined, 'shop'])
    assert.equal(body['href'], '/v1/traffic?workspace_id=shop&sort=traffic&limit=100')
  })

  for (const other of ['read', 'manage', 'send'] as const) {
    it(`asks for its own workspace if the caller has the role ${other}`, async () => {
      role = other
      for (const mine of ['shop', 'default']) {
        name = mine
        await get()
      }
      assert.deepEqual(asked, ['shop', 'default'])
    })
  }

  it('answers 503 storage_unavailable if nothing is known', async () => {
    isAway = true
    const { status, body } = await get()
    assert.deepEqual([status, body['code']], [503, 'storage_unavailable'])
  })

  for (const query of [
    'sort=size',
    'sort=',
    'name=',
    'name=%3Cb%3E',
    'limit=0',
    'limit=1001',
    'limit=-1',
    'limit=1e2',
    'sort=name&sort=name',
    'x=1',
  ]) {
    it(`answers 400 invalid_parameter to ${query}, and reads nothing`, async () => {
      const { status, body } = await get(`?${query}`)
      assert.deepEqual([status, body['code'], asked], [400, 'invalid_parameter', []])
    })
  }
})
