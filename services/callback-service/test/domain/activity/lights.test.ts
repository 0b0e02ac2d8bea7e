import assert from 'node:assert/strict'
import { type Light, type LightFacts, lightsOf } from '../../../domain/activity/lights.ts'

const WELL: LightFacts = {
  storageProblem: undefined,
  weakness: undefined,
  spool: { callbacks: 0, setAside: 0, problem: undefined },
  sessionProblem: undefined,
  replicas: 1,
  standstill: undefined,
  callbacksRunning: 2,
  agents: { workspaces: 0, shortages: [], lapsed: 0 },
  defaultWorkspace: 'default',
  troubles: [],
  fetches: { answered: 1200, failed: 0, meanMs: 2300 },
  fetchTimeoutMs: 6000,
  tracing: { problem: undefined, dropped: 0, hasSent: true },
  isShuttingDown: false,
}

function light(name: Light['name'], facts: Partial<LightFacts> = {}): string {
  const { state, text } = lightsOf({ ...WELL, ...facts }).find(one => one.name === name) ?? assert.fail(name)
  return `${state}: ${text}`
}

describe('the lights', () => {
  it('are all ok while all is well, in their order', () => {
    assert.deepEqual(lightsOf(WELL), [
      { name: 'postgres', state: 'ok', text: 'Postgres takes callbacks.' },
      { name: 'client_service', state: 'ok', text: '0 of 1,200 requests failed within the last minute. An answer takes 2.3 s on average.' },
      { name: 'processing', state: 'ok', text: '2 callbacks are running at this process.' },
      { name: 'spool', state: 'ok', text: 'The spool is empty.' },
      { name: 'zipkin', state: 'ok', text: 'The trace collector takes spans.' },
      { name: 'process', state: 'ok', text: 'This process serves.' },
    ])
  })

  describe('say of Postgres', () => {
    it('that it is away, and that the spool keeps callbacks', () => {
      assert.equal(
        light('postgres', { storageProblem: 'connection refused' }),
        'bad: Postgres takes no callbacks: connection refused. The spool keeps callbacks meanwhile.',
      )
    })

    for (const [what, spool] of [
      ['without a spool', undefined],
      ['with a spool that takes none', { callbacks: 0, setAside: 0, problem: 'the disk is full' }],
    ] as const) {
      it(`that it is away, and that senders get 503, ${what}`, () => {
        assert.equal(
          light('postgres', { storageProblem: 'connection refused', spool }),
          'bad: Postgres takes no callbacks: connection refused. Senders get 503 until it is back.',
        )
      })
    }

    it('that it takes callbacks, but can lose them', () => {
      assert.equal(
        light('postgres', { weakness: 'the server has fsync off' }),
        'warn: Postgres takes callbacks, but can lose them: the server has fsync off.',
      )
    })

    it('that the worker session is missing', () => {
      assert.equal(
        light('postgres', { sessionProblem: 'the worker lost its lock' }),
        'warn: Postgres takes callbacks. Its worker session is missing: the worker lost its lock.',
      )
    })
  })

  describe('say of the client service', () => {
    it('that it is down, and when the next request leaves', () => {
      assert.equal(
        light('client_service', { troubles: [{ workspace: 'default', state: 'open', waitMs: 12_300 }] }),
        'bad: The client service does not answer. Callbacks wait. The next try is in 12 s.',
      )
    })

    it('that a callback is to try it', () => {
      assert.match(
        light('client_service', { troubles: [{ workspace: 'default', state: 'half_open', waitMs: 0 }] }),
        /^bad: .* The next callback tries it\.$/,
      )
    })

    it('that it asked for a pause', () => {
      assert.equal(
        light('client_service', { troubles: [{ workspace: 'default', state: 'paused', waitMs: 300_000 }] }),
        'warn: The client service asked for a pause. Requests go on in 5 min.',
      )
    })

    it('that those of other workspaces are not well', () => {
      const shop = { workspace: 'shop', state: 'open', waitMs: 1 } as const
      assert.equal(
        light('client_service', { troubles: [shop] }),
        'warn: The client service of 1 other workspace is not well. That of default is.',
      )
      assert.match(
        light('client_service', { troubles: [shop, { ...shop, workspace: 'default' }, { ...shop, workspace: 'farm' }] }),
        /^bad: .* The client services of 2 other workspaces are not well either\.$/,
      )
    })

    it('that more than 5 % of its requests failed', () => {
      assert.match(light('client_service', { fetches: { answered: 95, failed: 5, meanMs: 300 } }), /^ok: 5 of 100/)
      assert.equal(
        light('client_service', { fetches: { answered: 94, failed: 6, meanMs: 300 } }),
        'warn: 6 of 100 requests failed within the last minute.',
      )
    })

    it('that it is slow: answers take more than 70 % of the timeout', () => {
      assert.match(light('client_service', { fetches: { answered: 9, failed: 0, meanMs: 4200 } }), /^ok/)
      assert.equal(
        light('client_service', { fetches: { answered: 9, failed: 0, meanMs: 4300 } }),
        'warn: Answers are slow: 4.3 s on average, and the timeout is 6.0 s. 0 of 9 requests failed within the last minute.',
      )
    })

    it('that nobody has asked it recently', () => {
      assert.equal(
        light('client_service', { fetches: { answered: 0, failed: 0, meanMs: undefined } }),
        'unknown: No request ended within the last minute.',
      )
    })
  })

  describe('say of the agents', () => {
    const shortage = { workspace: 'shop', waiting: 1200, ms: 300_000, hasAgent: false }
    const agents = { workspaces: 2, shortages: [], lapsed: 0 }

    it('nothing where no workspace has any', () => {
      assert.ok(lightsOf(WELL).every(({ name }) => name !== 'agents'))
    })

    it('that all is well', () => {
      assert.equal(light('agents', { agents }), 'ok: Agents take the callbacks of 2 workspaces.')
    })

    it('which workspace has none that is alive, and since when', () => {
      assert.equal(
        light('agents', { agents: { ...agents, shortages: [shortage] } }),
        'bad: 1,200 callbacks are waiting in shop, but none of its agents is alive. Seen for 5 min.',
      )
    })

    it('that those alive take nothing, and how many other workspaces lack agents', () => {
      const shortages = [
        { ...shortage, hasAgent: true },
        { ...shortage, workspace: 'farm', hasAgent: true },
      ]
      assert.equal(
        light('agents', { agents: { ...agents, shortages } }),
        'warn: 1,200 callbacks are waiting in shop, but its agents have taken none for 5 min. They may lack a label, or hold all they may. 1 other workspace lacks agents too.',
      )
    })

    it('which callback no living agent suits, and what to compare', () => {
      const one = { ...shortage, hasAgent: true, callback: 'c-1' }
      assert.equal(
        light('agents', { agents: { ...agents, shortages: [one] } }),
        'warn: 1,200 callbacks are waiting in shop, and no living agent suits them. Callback c-1 has waited for 5 min. Compare its labels with those of the agents, and see who has it assigned.',
      )
      assert.match(light('agents', { agents: { ...agents, shortages: [{ ...one, waiting: 1 }] } }), /^warn: 1 callback is .* suits it\./)
    })

    it('that many leases lapse', () => {
      assert.match(light('agents', { agents: { ...agents, lapsed: 4 } }), /^ok/)
      assert.equal(
        light('agents', { agents: { ...agents, lapsed: 5 } }),
        'warn: 5 leases lapsed here within the last minute. Their agents died, hang, or cannot reach the service.',
      )
    })
  })

  describe('say of the processing', () => {
    it('that callbacks wait and none runs', () => {
      assert.equal(
        light('processing', { standstill: { waiting: 1200, ms: 95_000 } }),
        'bad: 1,200 callbacks are waiting, but none has run for 95 s. Look at the log for the reason.',
      )
    })

    it('that they wait because this process has no worker session', () => {
      assert.match(
        light('processing', { standstill: { waiting: 1, ms: 31_000 }, sessionProblem: 'gone' }),
        /^bad: 1 callback is waiting, .* This process has no worker session, so it works on none\./,
      )
    })

    it('that this process has no worker session, and whether others go on', () => {
      assert.match(light('processing', { sessionProblem: 'gone' }), /^warn: .* Callbacks wait until it has one\.$/)
      assert.match(light('processing', { sessionProblem: 'gone', replicas: 2 }), /^warn: .* Other replicas go on\.$/)
    })

    it('that nobody knows whether others go on while Postgres is away', () => {
      const away = { storageProblem: 'connection refused', sessionProblem: 'gone', replicas: 2 }
      assert.match(light('processing', away), /^warn: .* Callbacks wait until it has one\.$/)
    })

    it('that none runs here, and not that none waits: a breaker may hold them up', () => {
      assert.equal(light('processing', { callbacksRunning: 0 }), 'ok: No callback is running at this process.')
    })
  })

  describe('say of the spool', () => {
    const spool = { callbacks: 3, setAside: 0, problem: undefined }

    it('that there is none', () => {
      assert.match(light('spool', { spool: undefined }), /^unknown: There is no spool\./)
    })

    it('that callbacks wait in it', () => {
      assert.equal(light('spool', { spool }), 'warn: 3 callbacks are waiting in the spool until Postgres takes them.')
    })

    it('that it takes none', () => {
      assert.equal(
        light('spool', { spool: { ...spool, problem: 'the disk is full' } }),
        'bad: The spool takes no callbacks: the disk is full.',
      )
    })

    it('that Postgres refused some, before all else', () => {
      assert.match(light('spool', { spool: { callbacks: 3, setAside: 2, problem: 'full' } }), /^bad: Postgres refused 2 .* \/set-aside/)
    })
  })

  it('say that traces are lost, and that callbacks are not', () => {
    assert.equal(
      light('zipkin', { tracing: { problem: 'connect ECONNREFUSED 127.0.0.1:9411', dropped: 1200, hasSent: true } }),
      'warn: The trace collector cannot be reached: connect ECONNREFUSED 127.0.0.1:9411. 1,200 spans were dropped since the start. Callbacks are not affected.',
    )
    assert.match(light('zipkin', { tracing: undefined }), /^unknown: No traces are sent/)
  })

  it('do not say that the collector takes spans before it has taken one', () => {
    const tracing = { problem: undefined, dropped: 0, hasSent: false }
    assert.equal(light('zipkin', { tracing }), 'unknown: No span was sent so far.')
  })

  it('say that the process is shutting down, and who takes its callbacks', () => {
    assert.equal(
      light('process', { isShuttingDown: true, replicas: 2 }),
      'warn: This process is shutting down. Other replicas take its callbacks.',
    )
    assert.equal(light('process', { isShuttingDown: true }), 'warn: This process is shutting down. Its callbacks wait for the next start.')
  })
})
