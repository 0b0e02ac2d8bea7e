import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { patchConfig } from '../support/callbacks.ts'
import { eventually } from '../support/eventually.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { type System, startSystem } from '../support/system.ts'
import { axeFindings } from './support/axe.ts'
import { describePage } from './support/browser.ts'

describePage('the view Try it', visits => {
  let system: System
  let service: ServiceProcess

  before(async () => {
    system = await startSystem()
    await system.callbackService.stop()
    service = await (await system.startCallbackService({ CLIENT_SERVICE_ADMIN_URL: system.clientAdminUrl })).ready()
  })

  beforeEach(() => patchConfig(system.clientAdminUrl, { faults: { down: false, errorShare: 0 } }))

  after(() => system.stop())

  const opened = (): Promise<Page> => visits().openPage(service.adminUrl, '#/try')
  const press = (page: Page, name: string): Promise<void> => page.getByRole('button', { name, exact: true }).click()
  const newest = (page: Page) => page.locator('.sent > li').first()

  it('sends a callback, shows its 202 and its objects, and leads to the callback', async () => {
    const page = await opened()
    await press(page, 'Send')
    await newest(page).locator('b', { hasText: 'completed' }).waitFor()
    await newest(page).getByText('All 20 objects have come.').waitFor()
    assert.match(await newest(page).innerText(), /202 in .* it is in the database and cannot be lost\./)
    assert.match((await newest(page).locator('a.id').getAttribute('href')) ?? '', /^#\/callbacks\/[0-9a-f-]{36}\?workspace=default$/)
    assert.deepEqual(await axeFindings(page), [])
  })

  it('sends ids beyond 2^53 exactly', async () => {
    const page = await opened()
    await press(page, 'Ids beyond 2^53')
    await press(page, 'Send')
    await newest(page).getByText('All 2 objects have come.').waitFor()
    const ids = await newest(page).locator('.chips .id').allInnerTexts()
    assert.deepEqual(ids.toSorted(), ['-9223372036854775808', '9007199254740993'])
  })

  it('waits for the result if somebody wants that', async () => {
    const page = await opened()
    await page.getByLabel('Wait for the result').fill('10')
    await press(page, 'Send')
    await newest(page).getByText('200 in').waitFor()
    await newest(page).getByText('All 20 objects have come.').waitFor()
  })

  it('shows why a callback was refused, with a link to its code', async () => {
    visits().expect(/400/)
    const page = await opened()
    await page.getByLabel('Ids of the objects').fill('1, <b>two</b>')
    await press(page, 'Send')
    const link = newest(page).getByRole('link', { name: 'invalid_json' })
    assert.equal((await fetch(new URL((await link.getAttribute('href')) ?? '', service.adminUrl))).status, 200)
  })

  it('sends a series with keys of its own, and a double click sends once', async () => {
    const page = await opened()
    await page.getByLabel('Number of callbacks').fill('3')
    await page.getByLabel('Idempotency key').fill('series')
    await page.getByRole('button', { name: 'Send', exact: true }).dblclick()
    await eventually('three are completed', async () => (await page.locator('.sent b', { hasText: 'completed' }).count()) === 3)
    assert.equal(await page.locator('.sent > li').count(), 3)
    const { rows } = await system.db.query('SELECT idempotency_key FROM callbacks WHERE idempotency_key IS NOT NULL ORDER BY 1')
    assert.deepEqual(
      rows.map(({ idempotency_key }) => idempotency_key),
      ['series-1', 'series-2', 'series-3'],
    )
  })

  it('breaks the client service and heals it, and the callback that waited completes', async () => {
    const page = await opened()
    await press(page, 'Down')
    await page.getByText('The client service is down.').waitFor()
    await page.getByText('nothing is lost').waitFor()
    await press(page, 'Send')
    await newest(page)
      .getByText(/pending|running/)
      .waitFor()
    await newest(page).getByText('0 of 20 objects have come.').waitFor()
    await press(page, 'Healthy')
    await page.getByText('No fault is on.').waitFor()
    await newest(page).locator('b', { hasText: 'completed' }).waitFor()
    assert.deepEqual(await axeFindings(page), [])
  })

  it('shows the switches as they are, also after somebody else changed them', async () => {
    const page = await opened()
    const errors = page.getByLabel('% of the answers are a 500')
    assert.equal(await errors.inputValue(), '0')
    await patchConfig(system.clientAdminUrl, { faults: { errorShare: 0.25 } })
    await press(page, 'Read again')
    await page.getByText('Faults are on.').waitFor()
    assert.equal(await errors.inputValue(), '25')
  })

  it('says why the client service refuses a value', async () => {
    visits().expect(/422/)
    const page = await opened()
    await page.getByLabel('% of the answers are a 500').fill('150')
    await page.keyboard.press('Tab')
    await page.getByText('faults.errorShare: must be a number from 0 to 1').waitFor()
  })

  it('says that the switches cannot be reached', async () => {
    visits().expect(/502/)
    const other = await (await system.startCallbackService({ CLIENT_SERVICE_ADMIN_URL: 'http://127.0.0.1:1' })).ready()
    const page = await visits().openPage(other.adminUrl, '#/try')
    await page.getByText('It does not answer.').waitFor()
    await page.close()
    await other.stop()
  })

  it('changes the client service in the order of the clicks', async () => {
    const page = await opened()
    let release: () => void = () => undefined
    const released = new Promise<void>(resolve => {
      release = resolve
    })
    let changes = 0
    await page.route('**/client-service/config', async route => {
      if (route.request().method() === 'PATCH' && ++changes === 1) await released
      await route.continue()
    })
    let answers = 0
    page.on('requestfinished', request => {
      if (request.method() === 'PATCH') answers += 1
    })
    await press(page, 'Down')
    await eventually('the first is under way', () => changes === 1)
    await press(page, 'Healthy')
    release()
    await eventually('both are answered', () => answers === 2)
    const { faults } = (await (await fetch(`${system.clientAdminUrl}/config`)).json()) as { faults: { down: boolean } }
    assert.equal(faults.down, false)
    await page.getByText('No fault is on.').waitFor()
  })

  it('shows the switches although nobody could say at first who the caller is', async () => {
    visits().expect(/503/)
    const page = await visits().openPage(service.adminUrl)
    await page.route('**/page/caller', route => route.fulfill({ status: 503, json: { code: 'storage_unavailable' } }), { times: 1 })
    await page.reload()
    await page.getByRole('link', { name: 'Try it' }).click()
    await page.getByRole('button', { name: 'Healthy' }).waitFor()
  })
})
