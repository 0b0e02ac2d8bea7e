import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { eventually, until } from '../support/eventually.ts'
import { type System, startSystem } from '../support/system.ts'
import { axeFindings } from './support/axe.ts'
import { describePage } from './support/browser.ts'

describePage('the view Senders', visits => {
  let system: System

  before(async () => {
    system = await startSystem()
    // Before anybody looks, because callbacks that come late show within a minute.
    await send('busy', { agoSeconds: 0 })
    await send('stopped', { agoSeconds: 400 })
    await system.db.query(
      `UPDATE callbacks SET state = 'failed', finished_at = now() WHERE id IN (SELECT id FROM callbacks WHERE workspace = 'busy' LIMIT 7)`,
    )
    await addWorkspaces(`VALUES ('busy', '{"unfinishedCallbacks": 4000}'::jsonb), ('stopped', '{"requestsPerSecond": 5}'), ('Quiet', '{}')`)
    await until(async () => {
      const [busy] = (await readTraffic('?sort=failures')).workspaces
      return busy?.failed_total === 7 && busy.unfinished === 3593
    })
  })

  after(() => system.stop())

  async function addWorkspaces(rows: string): Promise<void> {
    await system.db.query(`INSERT INTO workspaces (name, limits) ${rows}`)
    await system.db.query('UPDATE access_revision SET number = number + 1')
    await eventually('the service knows them', async () => {
      const [{ count }] = (await system.db.query('SELECT count(*)::int AS count FROM workspaces')).rows as [{ count: number }]
      return (await readTraffic('?limit=1')).total >= count
    })
  }

  async function readTraffic(query: string) {
    const response = await fetch(`${system.callbackAdminUrl}/v1/traffic${query}`)
    return (await response.json()) as { total: number; workspaces: { failed_total: number; unfinished: number }[] }
  }

  /** Inserts callbacks of 15 minutes, four a second, the last one so long ago. Nobody claims them. */
  async function send(workspace: string, { agoSeconds }: { agoSeconds: number }): Promise<void> {
    await system.db.query(
      `INSERT INTO callbacks (id, workspace, state, received_at)
       SELECT gen_random_uuid(), $1, 'paused', now() - make_interval(secs => $2 + n / 4.0) FROM generate_series(0, 3599) AS n`,
      [workspace, agoSeconds],
    )
  }

  const open = async (query = ''): Promise<Page> => {
    const page = await visits().openPage(system.callbackAdminUrl, `#/senders${query}`)
    await page.locator('table.senders tbody tr').first().waitFor()
    return page
  }
  const row = (page: Page, name: string) => page.locator('table.senders tbody tr').filter({ has: page.locator(`th a:text-is("${name}")`) })
  const names = (page: Page): Promise<string[]> => page.locator('table.senders tbody th a').allInnerTexts()

  it('shows of each workspace what it received and failed, and leads to its callbacks', async () => {
    const page = await open()
    await row(page, 'busy').waitFor()
    const cells = await row(page, 'busy').locator('td').allInnerTexts()
    assert.match(`${cells[1]} ${cells[2]}`, /^3,\d{3} 7$/)
    const label = await row(page, 'busy').getByRole('img').getAttribute('aria-label')
    assert.match(String(label), /^3,\d{3} received, at most 2\d\d in a minute; .*7 failed in 1 of the minutes/)
    assert.equal(await row(page, 'busy').locator('th a').getAttribute('href'), '#/callbacks?workspace=busy')
  })

  it('says in words which one is silent, and since when', async () => {
    const page = await open()
    await page.getByText('silent').first().waitFor()
    assert.match(await row(page, 'stopped').innerText(), /silent, [67] min \d+ s ago \(usually [34]\.?\d* a second\)/)
    assert.doesNotMatch(await row(page, 'busy').innerText(), /silent/)
  })

  it('shows how near a workspace is to its limits, with a mark in words', async () => {
    const page = await open()
    const text = row(page, 'busy').getByText('unfinished callbacks: 3,593 of 4,000')
    await text.waitFor()
    assert.match(await text.innerText(), /near$/)
    assert.match(await row(page, 'stopped').innerText(), /requests a second: 0 of 5/)
    assert.equal(await row(page, 'busy').getByRole('meter', { name: 'unfinished callbacks' }).count(), 1)
  })

  it('sorts by its headings, with the keyboard, and says by which', async () => {
    const page = await open()
    for (const [heading, direction, first] of [
      ['Workspace', 'ascending', 'Quiet'],
      ['Last seen', 'other', 'stopped'],
      ['Failed', 'descending', 'busy'],
    ] as const) {
      await page.getByRole('columnheader', { name: heading }).getByRole('link').focus()
      await page.keyboard.press('Enter')
      await page.locator(`th[aria-sort=${direction}]`).filter({ hasText: heading }).waitFor()
      await eventually(`${first} comes first`, async () => (await names(page))[0] === first)
      assert.equal(await page.locator('th[aria-sort]').count(), 1)
    }
  })

  it('finds a part of a name, and keeps it in the address', async () => {
    const page = await open()
    await page.getByRole('searchbox', { name: 'Find by name' }).fill('quIET')
    await eventually('it is the only one', async () => String(await names(page)) === 'Quiet')
    assert.match(page.url(), /#\/senders\?sort=traffic&name=quIET$/)
  })

  it('takes markup in the address for text', async () => {
    const page = await visits().openPage(system.callbackAdminUrl, `#/senders?name=${encodeURIComponent('<img src=x onerror=alert(1)>')}`)
    assert.equal(await page.getByRole('searchbox').inputValue(), '<img src=x onerror=alert(1)>')
    await page.getByText('No workspace can have such a name.').waitFor()
    assert.equal(await page.locator('main img').count(), 0)
  })

  it('keeps what it has while the service fails, says so, and comes back', async () => {
    const page = await open()
    visits().expect(/503/)
    const detail = 'The database cannot be read now.'
    const body = { status: 503, code: 'storage_unavailable', title: 'away', detail }
    await page.route('**/v1/traffic?*', route =>
      route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify(body) }),
    )
    const notice = page.getByRole('status').filter({ hasText: detail })
    await notice.waitFor()
    assert.match(await notice.innerText(), /The table is from \d\d:\d\d:\d\d/)
    assert.ok((await names(page)).includes('busy'))
    await page.unroute('**/v1/traffic?*')
    await notice.waitFor({ state: 'detached' })
  })

  it('asks every five seconds while it is visible, and not at all while it is hidden', async () => {
    const page = await visits().openPage(system.callbackAdminUrl, '#/try')
    let asked = 0
    page.on('request', request => {
      if (request.url().includes('/v1/traffic')) asked += 1
    })
    await page.clock.install()
    await page.goto(`${system.callbackAdminUrl}/#/senders`)
    await page.locator('table.senders tbody tr').first().waitFor()
    assert.equal(asked, 1)
    await page.clock.runFor(5000)
    await eventually('it asks again', () => asked === 2)
    await page.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    })
    await page.clock.runFor(120_000)
    assert.equal(asked, 2)
    await page.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { value: 'visible', configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    })
    await eventually('it asks at once', () => asked === 3)
  })

  it('does not blame the database for an old table while nobody has asked for a newer one', async () => {
    const page = await visits().openPage(system.callbackAdminUrl, '#/senders')
    await row(page, 'busy').waitFor()
    await page.route('**/v1/traffic?*', () => undefined)
    await page.clock.install()
    await page.clock.fastForward(600_000)
    await page.getByText('The table is from').waitFor()
    assert.doesNotMatch(await page.locator('main').innerText(), /could not be read/)
    await page.unrouteAll({ behavior: 'ignoreErrors' })
  })

  it('fits a narrow screen: the table scrolls, not the page', async () => {
    const page = await visits().openPage(system.callbackAdminUrl, '#/senders', { viewport: { width: 390, height: 800 } })
    await row(page, 'busy').waitFor()
    const [pageWidth, tableWidth] = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.querySelector('table.senders')?.scrollWidth ?? 0,
    ])
    assert.ok(pageWidth === 390 && (tableWidth ?? 0) > 390, `${pageWidth}, ${tableWidth}`)
  })

  it('shows what the key may see, and why it shows nothing', async () => {
    const superuser = 'superuser-'.repeat(4)
    const service = await (await system.startCallbackService({ ACCESS_MODE: 'keys', ACCESS_SUPERUSER_KEYS: superuser })).ready()
    const headers = { 'x-api-key': superuser, 'content-type': 'application/json' }
    const keyOf = async (role: string): Promise<string> => {
      const request = { method: 'POST', headers, body: JSON.stringify({ role }) }
      return ((await (await fetch(`${service.url}/v1/workspaces/busy/keys`, request)).json()) as { key: string }).key
    }
    visits().expect(/404/)
    const page = await visits().openPage(service.adminUrl, '#/senders')
    await page.getByLabel('Key', { exact: true }).fill(await keyOf('send'))
    await page.keyboard.press('Enter')
    await page.getByRole('status').filter({ hasText: 'This key may not see the traffic.' }).waitFor()
    assert.equal(await page.locator('table.senders').count(), 0)
    await page.evaluate(value => sessionStorage.setItem('answerback-key', value), await keyOf('read'))
    await page.reload()
    await row(page, 'busy').waitFor()
    assert.deepEqual(await names(page), ['busy'])
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`is a table in which axe-core finds nothing serious, in ${colorScheme}`, async () => {
      const page = await visits().openPage(system.callbackAdminUrl, '#/senders', { colorScheme })
      await page.getByText('silent').first().waitFor()
      assert.deepEqual(await axeFindings(page), [])
    })
  }

  it('shows a hundred of a thousand workspaces, and more when asked', async () => {
    await addWorkspaces(`SELECT 'w' || n, '{}'::jsonb FROM generate_series(1, 1200) AS n`)
    const page = await open('?sort=name')
    await page.getByText(/^100 of 1,20\d workspaces/).waitFor()
    await page.getByRole('button', { name: 'Show more' }).click()
    await page.getByText(/^200 of 1,20\d workspaces/).waitFor()
    assert.equal((await names(page)).length, 200)
  })
})
