import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { eventually, until } from '../support/eventually.ts'
import { type System, startSystem } from '../support/system.ts'
import { axeFindings } from './support/axe.ts'
import { describePage } from './support/browser.ts'

const MARKUP = '<img src=x onerror=alert(1)>'

interface Made {
  readonly id: string
  readonly key: string
}

describePage('the view Agents', visits => {
  let system: System

  before(async () => {
    system = await startSystem()
  })

  after(() => system.stop())

  async function request(method: string, path: string, body?: object): Promise<Response> {
    return fetch(`${system.callbackUrl}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
  }

  async function post<T>(path: string, body: object): Promise<T> {
    const response = await request('POST', path, body)
    assert.ok(response.ok, `${path} answered ${response.status}: ${await response.clone().text()}`)
    return (await response.json()) as T
  }

  /** Makes a workspace whose objects agents fetch. */
  async function newWorkspace(name: string, settings: object = { fetcher: 'agents' }): Promise<string> {
    await post('/v1/workspaces', { name, ...settings })
    return name
  }

  const newAgent = (workspace: string, members: object) => post<Made>(`/v1/agents?workspace_id=${workspace}`, members)

  async function send(workspace: string, ids: readonly number[]): Promise<string> {
    return (await post<{ id: string }>(`/callback?workspace_id=${workspace}`, { object_ids: ids })).id
  }

  /** Leases one callback. @returns the path of the lease, with its query */
  async function lease(workspace: string, agent: Made): Promise<{ location: string; objects: string }> {
    const path = `/v1/agents/${agent.id}/leases?workspace_id=${workspace}`
    const { items } = await post<{ items: { location: string; objects: string }[] }>(path, { wait_seconds: 5, version: 'page-test/1' })
    return items[0] ?? assert.fail('no lease')
  }

  async function deliver(leased: { objects: string }, ids: readonly number[]): Promise<number> {
    return (await request('PUT', leased.objects, { objects: ids.map(id => ({ id, online: true })) })).status
  }

  const open = (workspace: string, id?: string, options = {}): Promise<Page> =>
    visits().openPage(system.callbackAdminUrl, `#/agents${id ? `/${id}` : ''}?workspace=${workspace}`, options)
  const row = (page: Page, name: string) => page.locator('table.agents tbody tr').filter({ has: page.locator(`th a:text-is("${name}")`) })
  const confirm = (page: Page, verb: string | RegExp): Promise<void> => page.getByRole('dialog').getByRole('button', { name: verb }).click()

  it('explains what an agent is, makes one, and shows its key once', async () => {
    const workspace = await newWorkspace('made', {})
    const page = await open(workspace)
    await page.getByText('An agent is a program beside a client service').waitFor()
    await page.getByLabel('Name').fill('plant-7')
    await page.getByLabel('Labels').fill('site=7, gpu')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'The key of plant-7' }).waitFor()
    const key = await page.locator('.agent-key .key').innerText()
    assert.match(key, /^ab_made_/)
    assert.ok((await page.locator('.agent-key pre').innerText()).includes(`AGENT_KEY=${key}`))
    assert.match(await row(page, 'plant-7').innerText(), /new\s+never\s+site=7\s+gpu/)
    await page.getByRole('button', { name: 'I have copied it' }).click()
    assert.ok(!(await page.content()).includes(key))
    assert.ok(!(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))).includes(key))
  })

  it('says why an agent cannot be made, and makes none', async () => {
    const workspace = await newWorkspace('twice')
    await newAgent(workspace, { name: 'one' })
    visits().expect(/409/)
    const page = await open(workspace)
    await page.getByText('Make an agent').click()
    await page.getByLabel('Name').fill('one')
    await page.getByRole('button', { name: 'Make the agent' }).click()
    await page.getByRole('status').filter({ hasText: 'agent_exists' }).waitFor()
    assert.equal(await page.locator('.agent-key').count(), 0)
  })

  it('says that the service fetches the objects itself, and lets agents do it', async () => {
    const workspace = await newWorkspace('switched', {})
    await newAgent(workspace, { name: 'one' })
    const page = await open(workspace)
    await page.getByText('so its agents get no callbacks').waitFor()
    await page.getByRole('button', { name: 'Let agents fetch…' }).click()
    await confirm(page, 'Let agents fetch')
    await page.getByText('none of them is alive').waitFor()
    const { fetcher } = (await (await request('GET', `/v1/workspaces/${workspace}`)).json()) as { fetcher: string }
    assert.equal(fetcher, 'agents')
  })

  it('shows what an agent holds, how far it is, and that it finished', async () => {
    const workspace = await newWorkspace('held')
    const agent = await newAgent(workspace, { name: 'busy' })
    const callback = await send(workspace, [1, 2, 3])
    const leased = await lease(workspace, agent)
    assert.equal(await deliver(leased, [1, 2]), 200)
    const page = await open(workspace)
    await row(page, 'busy').getByText('working').waitFor()
    assert.match(await row(page, 'busy').innerText(), /page-test\/1\s+1 of 16/)
    await row(page, 'busy').getByRole('link', { name: 'busy' }).click()
    const held = page.getByRole('region', { name: 'Table of its callbacks' }).locator('tbody tr')
    await held.getByText('2 of 3').waitFor()
    assert.match(await held.innerText(), /running\s+\d+ s, ends in \d+ s unless renewed/)
    assert.equal(await held.locator('a').getAttribute('href'), `#/callbacks/${callback}?workspace=${workspace}`)
    assert.equal(await deliver(leased, [3]), 200)
    assert.equal((await request('PATCH', leased.location, { state: 'completed' })).status, 200)
    await page.getByText('It holds no callback').waitFor()
    await page
      .locator('dl.facts div')
      .filter({ hasText: 'Callbacks finished' })
      .getByText('1', { exact: true })
      .waitFor({ timeout: 20_000 })
    await page
      .locator('dl.facts div')
      .filter({ hasText: 'Objects a second' })
      .getByText(/^[\d.]+$/)
      .waitFor()
  })

  it('shows in the past of a callback which agent had it', async () => {
    const workspace = await newWorkspace('past')
    const agent = await newAgent(workspace, { name: 'historian' })
    const callback = await send(workspace, [1])
    const leased = await lease(workspace, agent)
    const page = await visits().openPage(system.callbackAdminUrl, `#/callbacks/${callback}?workspace=${workspace}`)
    await page.getByRole('cell', { name: 'Attempt 1, agent historian' }).waitFor()
    await deliver(leased, [1])
    await request('PATCH', leased.location, { state: 'completed' })
    await page.locator('.line.attempt').getByText('1 stored').waitFor()
    assert.equal(await page.getByRole('cell', { name: 'Attempt 1, agent historian' }).count(), 1)
  })

  it('takes a callback away from an agent, after a question', async () => {
    const workspace = await newWorkspace('taken')
    const agent = await newAgent(workspace, { name: 'slow' })
    await send(workspace, [1])
    const leased = await lease(workspace, agent)
    const page = await open(workspace, agent.id)
    await page.getByRole('button', { name: /^Take away/ }).click()
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    assert.equal((await request('GET', leased.location)).status, 200)
    await page.getByRole('button', { name: /^Take away/ }).click()
    await confirm(page, 'Take it away')
    await page.getByText('It holds no callback').waitFor()
    assert.equal(await deliver(leased, [1]), 410)
  })

  it('assigns a callback to an agent by hand', async () => {
    const workspace = await newWorkspace('assigned', { fetcher: 'agents', agent_labels: ['nobody-has-it'] })
    const agent = await newAgent(workspace, { name: 'chosen' })
    const callback = await send(workspace, [1])
    const page = await open(workspace, agent.id)
    const field = page.getByLabel('Assign a callback by its id')
    await field.fill('no id')
    await page.getByText('This is not the id of a callback.').waitFor()
    await field.fill(` ${callback.toUpperCase()} `)
    await page.keyboard.press('Enter')
    await confirm(page, 'Assign it')
    await page.getByRole('region', { name: 'Table of its callbacks' }).getByText('pending, assigned').waitFor()
    await lease(workspace, agent)
    await page.getByRole('region', { name: 'Table of its callbacks' }).getByText('running, assigned').waitFor()
  })

  it('archives an agent after a question, and restores it', async () => {
    const workspace = await newWorkspace('archived')
    const agent = await newAgent(workspace, { name: 'old' })
    const page = await open(workspace, agent.id)
    await page.getByRole('button', { name: 'Archive…' }).click()
    await confirm(page, 'Archive old')
    await page.getByRole('button', { name: 'Restore' }).waitFor()
    await page.getByRole('link', { name: '← Agents' }).click()
    await page.getByText('1 archived.').waitFor()
    assert.equal(await page.locator('table.agents').count(), 0)
    await page.getByLabel('Show archived').check()
    await row(page, 'old').getByRole('link', { name: 'old' }).click()
    await page.getByRole('button', { name: 'Restore' }).click()
    await page.getByRole('button', { name: 'Archive…' }).waitFor()
  })

  it('changes what the operator changed, and leaves what somebody else changed meanwhile', async () => {
    const workspace = await newWorkspace('changed')
    const agent = await newAgent(workspace, { name: 'mine', labels: ['a'] })
    const page = await open(workspace, agent.id)
    await page.getByText('Change the agent').click()
    await page.getByLabel('Labels').fill('a b')
    await page.getByLabel('Callbacks at a time').fill('3')
    await request('PATCH', `/v1/agents/${agent.id}?workspace_id=${workspace}`, { description: 'of the night shift' })
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('The agent is changed.').waitFor()
    const changed = (await (await request('GET', `/v1/agents/${agent.id}?workspace_id=${workspace}`)).json()) as Record<string, unknown>
    assert.deepEqual(
      [changed['labels'], changed['max_leases'], changed['description'], changed['name']],
      [['a', 'b'], 3, 'of the night shift', 'mine'],
    )
  })

  it('says what is wrong with a change', async () => {
    const workspace = await newWorkspace('refused')
    const agent = await newAgent(workspace, { name: 'one' })
    visits().expect(/400|422/)
    const page = await open(workspace, agent.id)
    await page.getByText('Change the agent').click()
    await page.getByLabel('Labels').fill('not/ok? <b>')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('status').filter({ hasText: 'Nothing was changed.' }).waitFor()
    assert.equal(await page.getByLabel('Labels').inputValue(), 'not/ok? <b>')
  })

  it('takes markup in names, versions and the address for text', async () => {
    const workspace = await newWorkspace('hostile')
    const agent = await newAgent(workspace, { name: MARKUP, description: '<b>bold</b>' })
    await request('POST', `/v1/agents/${agent.id}/leases?workspace_id=${workspace}`, { version: MARKUP })
    const page = await open(workspace)
    await page.getByRole('link', { name: MARKUP }).waitFor()
    await page.getByRole('link', { name: MARKUP }).click()
    await page.getByRole('heading', { name: `Agent ${MARKUP}` }).waitFor()
    await page.getByText('<b>bold</b>').waitFor()
    assert.equal(await page.locator('main img, main b').count(), 0)
    visits().expect(/404/)
    await page.goto(`${system.callbackAdminUrl}/#/agents/${encodeURIComponent('../<b>')}?workspace=${workspace}`)
    await page.getByText('This workspace has no such agent').waitFor()
  })

  it('keeps what it has while the service fails, says so, and comes back', async () => {
    const workspace = await newWorkspace('failing')
    await newAgent(workspace, { name: 'kept' })
    const page = await open(workspace)
    await row(page, 'kept').waitFor()
    visits().expect(/503/)
    const body = { status: 503, code: 'storage_unavailable', title: 'away', detail: 'The database cannot be read now.' }
    await page.route('**/v1/agents?*', route =>
      route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify(body) }),
    )
    await page.getByRole('status').filter({ hasText: body.detail }).waitFor()
    await page.getByText(/What you see is \d+ s old\./).waitFor()
    assert.equal(await row(page, 'kept').count(), 1)
    await page.unroute('**/v1/agents?*')
    await page.getByRole('status').filter({ hasText: body.detail }).waitFor({ state: 'detached' })
  })

  it('asks nothing while nobody looks', async () => {
    const workspace = await newWorkspace('hidden')
    const page = await visits().openPage(system.callbackAdminUrl, '#/try')
    let asked = 0
    page.on('request', request => {
      if (request.url().includes('/v1/agents')) asked += 1
    })
    await page.clock.install()
    await page.goto(`${system.callbackAdminUrl}/#/agents?workspace=${workspace}`)
    await page.getByText('This workspace has no agents.').waitFor()
    const look = (state: string): Promise<void> =>
      page.evaluate(value => {
        Object.defineProperty(document, 'visibilityState', { value, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
      }, state)
    await look('hidden')
    const before = asked
    await page.clock.runFor(120_000)
    assert.equal(asked, before)
    await look('visible')
    await eventually('it asks at once', () => asked === before + 1)
  })

  it('shows a hundred agents, and all when asked', async () => {
    const workspace = await newWorkspace('many')
    await system.db.query(
      `INSERT INTO agents (id, workspace, name) SELECT gen_random_uuid(), $1, 'agent-' || lpad(n::text, 3, '0') FROM generate_series(1, 150) AS n`,
      [workspace],
    )
    const page = await open(workspace)
    await page.getByText('The first 100 agents: 100 new.').waitFor()
    await page.getByRole('button', { name: 'Show all' }).click()
    await page.getByText('150 new.', { exact: true }).waitFor()
    assert.equal(await page.locator('table.agents tbody tr').count(), 150)
  })

  it('shows a thousand agents with long and strange texts in short rows, and the silent ones alone', async () => {
    const workspace = await newWorkspace('thousand')
    await system.db.query(
      `INSERT INTO agents (id, workspace, name, description, labels, version, last_seen_at, archived_at)
       SELECT gen_random_uuid(), $1,
         CASE n % 5 WHEN 0 THEN '<script>alert(' || n || ')</script>' WHEN 1 THEN 'مصنع ' || n WHEN 2 THEN '👩‍🏭 ' || n
           WHEN 3 THEN 'Line' || chr(8238) || n ELSE rpad('agent-' || n || '-', 64, 'W') END,
         repeat('A long description. ', 12), ARRAY(SELECT rpad('label-' || i || '-', 63, 'w') FROM generate_series(1, 16) i), rpad('v', 100, '1.2.3-'),
         CASE WHEN n % 100 = 1 THEN now() - interval '3 days' ELSE now() END, CASE WHEN n % 100 = 2 THEN now() END
       FROM generate_series(1, 1000) n`,
      [workspace],
    )
    const page = await open(workspace)
    await page.getByRole('button', { name: 'Show all' }).click()
    await page.getByText('980 waiting, 10 silent, 10 archived.', { exact: true }).waitFor()
    const rows = page.locator('table.agents tbody tr')
    assert.equal(await rows.count(), 990)
    const heights = await rows.evaluateAll(all => all.map(one => one.getBoundingClientRect().height))
    assert.ok(Math.max(...heights) < 250, `the highest row has ${Math.max(...heights)} pixels`)
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 1280)
    assert.equal(await page.locator('main script').count(), 0)
    await rows.first().getByText('and 12 more').waitFor()
    await page.getByLabel('Only silent').check()
    await until(async () => (await rows.count()) === 10)
    assert.match(await rows.last().innerText(), /silent\s+3 d 0 h ago/)
  })

  it('leads to a callback that no living agent suits', async () => {
    const workspace = await newWorkspace('unsuited', { fetcher: 'agents', agent_labels: ['gpu'] })
    const agent = await newAgent(workspace, { name: 'plain' })
    const callback = await send(workspace, [1])
    await request('POST', `/v1/agents/${agent.id}/leases?workspace_id=${workspace}`, {})
    await system.db.query(`UPDATE callbacks SET due_at = now() - interval '5 min' WHERE id = $1`, [callback])
    const page = await open(workspace)
    const note = page.locator('.notice').filter({ hasText: 'No living agent suits a callback of this workspace.' })
    await note.waitFor({ timeout: 40_000 })
    assert.equal(await note.getByRole('link').getAttribute('href'), `#/callbacks/${callback}?workspace=${workspace}`)
    await page.goto(`${system.callbackAdminUrl}/#/now`)
    await page.getByRole('region', { name: 'Callbacks that no living agent suits' }).getByRole('link', { name: 'unsuited' }).click()
    await note.getByRole('link').click()
    await page
      .getByRole('heading', { name: /Callback/ })
      .first()
      .waitFor()
  })

  it('fits a narrow screen: the table scrolls, not the page', async () => {
    const workspace = await newWorkspace('narrow')
    const agent = await newAgent(workspace, { name: 'plant-7', description: 'In the control room', labels: ['site=7', 'gpu'] })
    await send(workspace, [1, 2])
    await lease(workspace, agent)
    for (const id of [undefined, agent.id]) {
      const page = await open(workspace, id, { viewport: { width: 390, height: 800 } })
      await page.locator('table tbody tr').first().waitFor()
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390)
    }
  })

  it('has a light that says which workspace lacks agents', async () => {
    const workspace = await newWorkspace('lacking')
    // More than in the workspaces that earlier tests have left, because the light names the greatest shortage.
    for (const id of [1, 2, 3]) await send(workspace, [id])
    const page = await visits().openPage(system.callbackAdminUrl, '#/now')
    const light = page.locator('.light').filter({ hasText: '3 callbacks are waiting in lacking, but none of its agents is alive.' })
    await light.waitFor({ timeout: 30_000 })
    await request('PATCH', `/v1/workspaces/${workspace}`, { paused: true })
    await light.waitFor({ state: 'detached', timeout: 30_000 })
  })

  it('shows in the view Senders for whom agents fetch', async () => {
    await newWorkspace('sending')
    const page = await visits().openPage(system.callbackAdminUrl, '#/senders?sort=name&name=sending')
    const badge = page.locator('table.senders tbody tr').getByRole('link', { name: 'agents' })
    await badge.waitFor()
    assert.equal(await badge.getAttribute('href'), '#/agents?workspace=sending')
  })

  it('lets a key of role read look, and no key of another workspace', async () => {
    const superuser = 'superuser-'.repeat(4)
    const service = await (await system.startCallbackService({ ACCESS_MODE: 'keys', ACCESS_SUPERUSER_KEYS: superuser })).ready()
    const workspace = await newWorkspace('guarded')
    const agent = await newAgent(workspace, { name: 'seen' })
    await until(
      async () =>
        (await fetch(`${service.url}/v1/agents/${agent.id}?workspace_id=${workspace}`, { headers: { 'x-api-key': superuser } })).ok,
    )
    const headers = { 'x-api-key': superuser, 'content-type': 'application/json' }
    const made = await fetch(`${service.url}/v1/workspaces/guarded/keys`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ role: 'read' }),
    })
    const { key } = (await made.json()) as { key: string }
    visits().expect(/404/)
    const page = await visits().openPage(service.adminUrl, '#/agents')
    await page.getByLabel('Key', { exact: true }).fill(key)
    await page.keyboard.press('Enter')
    await row(page, 'seen').waitFor()
    await page.getByText('Your key may look at the agents of this workspace').waitFor()
    assert.equal(await page.getByText('Make an agent').count(), 0)
    await row(page, 'seen').getByRole('link', { name: 'seen' }).click()
    await page.getByText('Your key may look at this agent').waitFor()
    assert.equal(
      await page
        .locator('main')
        .getByRole('button', { name: /Archive|Assign|Save/ })
        .count(),
      0,
    )
    await page.goto(`${service.adminUrl}/#/agents?workspace=held`)
    await page.getByText('This key may not see the agents').waitFor()
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`is one in which axe-core finds nothing serious, in ${colorScheme}`, async () => {
      const workspace = await newWorkspace(`axe-${colorScheme}`)
      const agent = await newAgent(workspace, { name: 'plant-7', description: 'Hall 3', labels: ['site=7'] })
      await newAgent(workspace, { name: 'gone' })
      await system.db.query(`UPDATE agents SET last_seen_at = now() - interval '1 hour' WHERE name = 'gone' AND workspace = $1`, [
        workspace,
      ])
      await send(workspace, [1, 2])
      await lease(workspace, agent)
      const page = await open(workspace, undefined, { colorScheme })
      await row(page, 'plant-7').getByText('working').waitFor()
      await page.getByText('Make an agent').click()
      await page.getByLabel('Name').fill('another')
      await page.keyboard.press('Enter')
      await page.locator('.agent-key').waitFor()
      assert.deepEqual(await axeFindings(page), [])
      await row(page, 'plant-7').getByRole('link', { name: 'plant-7' }).click()
      await page.getByText('Change the agent').click()
      await page.getByRole('button', { name: /^Take away/ }).waitFor()
      assert.deepEqual(await axeFindings(page), [])
      await page.getByRole('button', { name: 'Archive…' }).click()
      assert.deepEqual(await axeFindings(page), [])
    })
  }
})
