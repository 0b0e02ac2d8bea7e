import assert from 'node:assert/strict'
import { accept, finished, patchConfig, readCallback } from '../support/callbacks.ts'
import { eventually } from '../support/eventually.ts'
import { type System, startSystem } from '../support/system.ts'
import { describePage } from './support/browser.ts'

describePage('the view Callbacks, while a callback changes faster than the page knows', visits => {
  let system: System

  before(async () => {
    system = await startSystem()
  })

  after(() => system.stop())

  async function setPaused(paused: boolean): Promise<void> {
    const response = await fetch(`${system.callbackUrl}/v1/workspaces/default`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ paused }),
    })
    assert.equal(response.status, 200)
  }

  it('does not say that a callback is paused whose attempt goes on', async () => {
    await setPaused(true)
    await patchConfig(system.clientAdminUrl, { latency: { minMs: 3000, maxMs: 3000 } })
    const id = await accept(system.callbackUrl, [1])
    const page = await visits().openPage(system.callbackAdminUrl, `#/callbacks/${id}`)
    await page.locator('.facts').getByText('pending').waitFor()
    // The page does not hear that a worker has claimed it.
    await page.route(`**/v1/callbacks/${id}?*`, route => (route.request().method() === 'GET' ? undefined : route.continue()))
    await setPaused(false)
    await eventually('it runs', async () => (await readCallback(system.callbackUrl, id)).state === 'running')
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.locator('.announcement').getByText('Its attempt goes on.').waitFor()
    await page.unrouteAll({ behavior: 'ignoreErrors' })
    await patchConfig(system.clientAdminUrl, { latency: { minMs: null, maxMs: null } })
    await finished(system.callbackUrl, id)
  })

  it('starts nothing from a count that somebody else has aborted', async () => {
    const page = await visits().openPage(system.callbackAdminUrl, '#/callbacks')
    await page.route('**/v1/operations?*', async route => {
      if (route.request().method() !== 'POST') return route.continue()
      const filter = { state: 'completed' }
      const aborted = { id: 'a', kind: 'Operation', change: { kind: 'retry' }, filter, state: 'aborted', dry_run: true, matched: 3 }
      return route.fulfill({ status: 202, json: { ...aborted, done: 0, skipped: 0, rate_per_second: null, eta_ms: null } })
    })
    await page.getByText('Change all callbacks that match a filter').click()
    await page.getByRole('button', { name: 'Count what matches' }).click()
    await page.getByText('Counting was aborted at 3, by somebody else.').waitFor()
    assert.equal(await page.getByRole('button', { name: /^Start/ }).count(), 0)
  })

  it('shows a workspace that is made after its address was opened', async () => {
    visits().expect(/404/, /WebSocket connection to .* failed/)
    const page = await visits().openPage(system.callbackAdminUrl, '#/callbacks?workspace=later')
    const status = page.locator('.live-status')
    await status.getByText('There is no list: No workspace has this name.').waitFor()
    await status.getByText('Connection lost').waitFor()
    const response = await fetch(`${system.callbackUrl}/v1/workspaces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"name":"later"}',
    })
    assert.equal(response.status, 201)
    await status.getByText('Live').waitFor()
    await status.getByText('There is no list').waitFor({ state: 'detached' })
    assert.equal(await page.getByText('Your key').count(), 0)
  })

  it('goes back although the object id in its field was not sent', async () => {
    const page = await visits().openPage(system.callbackAdminUrl, '#/now')
    await page.getByRole('link', { name: 'Callbacks' }).click()
    await page.getByLabel('Object id').first().fill('5')
    await page.goBack()
    await page.getByRole('heading', { name: /^Now/ }).waitFor()
    assert.equal(new URL(page.url()).hash, '#/now')
  })

  it('fits a narrow screen, also with the longest name of a workspace', async () => {
    const name = 'w'.repeat(64)
    visits().expect(/404/, /WebSocket connection to .* failed/)
    const page = await visits().openPage(system.callbackAdminUrl, `#/callbacks?workspace=${name}`, {
      viewport: { width: 400, height: 800 },
    })
    await page.getByLabel('Workspace').locator('option', { hasText: name }).waitFor({ state: 'attached' })
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 400)
  })

  it('keeps the priority that somebody set, although Enter was pressed twice', async () => {
    await setPaused(true)
    const id = await accept(system.callbackUrl, [1])
    const page = await visits().openPage(system.callbackAdminUrl, `#/callbacks/${id}`)
    await page.locator('.facts').getByText('pending').waitFor()
    await page.route(`**/v1/callbacks/${id}?*`, route => (route.request().method() === 'GET' ? undefined : route.continue()))
    await page.getByLabel('Priority').fill('7')
    await page.getByLabel('Priority').press('Enter')
    await page.locator('.announcement').getByText('Its priority is 7.').waitFor()
    const answered = page.waitForResponse(response => response.request().method() === 'PATCH')
    await page.getByLabel('Priority').press('Enter')
    await answered
    const { rows } = await system.db.query('SELECT priority FROM callbacks WHERE id = $1', [id])
    assert.deepEqual(rows, [{ priority: 7 }])
    await page.unrouteAll({ behavior: 'ignoreErrors' })
  })
})
