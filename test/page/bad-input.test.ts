import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { accept } from '../support/callbacks.ts'
import { until } from '../support/eventually.ts'
import { type System, startSystem } from '../support/system.ts'
import { describePage } from './support/browser.ts'

/** Neighbours that are equal as JavaScript numbers. */
const HUGE = '9007199254740993'
const NEIGHBOUR = '9007199254740992'
const SMALLEST = '-9223372036854775808'

const MARKUP = `<img src=x onerror="document.title='hit'"><b>bold</b>&amp;{{7*7}}`
const MADE_OF_MARKUP = 'img[src="x"], b:text-is("bold")'

describePage('the view Callbacks', visits => {
  let system: System

  before(async () => {
    system = await startSystem()
    for (const body of [
      { name: 'busy', paused: true, description: MARKUP },
      { name: 'many', paused: true },
    ]) {
      const response = await fetch(`${system.callbackUrl}/v1/workspaces`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      assert.equal(response.status, 201)
    }
  })

  after(() => system.stop())

  async function sendTo(workspace: string, body: string): Promise<string> {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${system.callbackUrl}/callback?workspace_id=${workspace}`, { method: 'POST', headers, body })
    assert.equal(response.status, 202)
    return ((await response.json()) as { id: string }).id
  }

  function rows(page: Page) {
    return page.getByRole('region', { name: 'Table of callbacks' }).locator('tbody tr')
  }

  function row(page: Page, id: string) {
    return rows(page).filter({ has: page.locator(`a[title="${id}"]`) })
  }

  it('shows ids beyond 2^53 with all their digits, and finds just the callback that names one', async () => {
    const id = await accept(system.callbackUrl, [HUGE, SMALLEST])
    await accept(system.callbackUrl, [NEIGHBOUR])
    const page = await visits().openPage(system.callbackAdminUrl, '#/callbacks')
    await until(async () => (await rows(page).count()) === 2)
    const field = page.getByRole('textbox', { name: 'Object id' }).first()
    await field.fill(HUGE)
    await field.press('Enter')
    await until(async () => (await rows(page).count()) === 1)
    await row(page, id).getByText('completed').waitFor()
    await row(page, id).getByRole('link').click()
    const objects = page.getByRole('table', { name: 'Objects of the callback' })
    await objects.getByText(HUGE).waitFor()
    assert.deepEqual(await objects.locator('tbody a').allInnerTexts(), [HUGE, SMALLEST])
  })

  it('shows markup in names and reasons as text', async () => {
    const id = await sendTo('busy', '{"object_ids":[]}')
    await system.db.query('UPDATE callbacks SET request_id = $2 WHERE id = $1', [id, MARKUP])
    const page = await visits().openPage(system.callbackAdminUrl, `#/callbacks/${id}?workspace=busy`)
    await page.getByText(MARKUP).waitFor()
    for (const view of ['#/senders', '#/callbacks?workspace=busy', '#/try']) {
      await page.goto(`${system.callbackAdminUrl}/${view}`)
      await page.locator('main h2').first().waitFor()
    }
    assert.equal(await page.locator(MADE_OF_MARKUP).count(), 0)
    assert.doesNotMatch(await page.title(), /hit/)
  })

  it('shows markup in its own address as text', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    visits().expect(/40[04]/)
    for (const view of [
      'callbacks/',
      'callbacks?workspace=',
      'callbacks?object_id=',
      'callbacks?state=',
      'senders?sort=',
      'try?workspace=',
      '',
    ]) {
      await page.goto(`${system.callbackAdminUrl}/#/${view}${encodeURIComponent(MARKUP)}`)
      await page.locator('main h2').first().waitFor()
      assert.equal(await page.locator(MADE_OF_MARKUP).count(), 0, view)
    }
  })

  it('says what happened when another operator was faster, and shows it', async () => {
    const id = await sendTo('busy', '{"object_ids":[1]}')
    const hash = `#/callbacks/${id}?workspace=busy`
    const [first, second] = [await visits().openPage(system.callbackAdminUrl, hash), await visits().openPage(system.callbackAdminUrl, hash)]
    const pause = second.getByRole('button', { name: 'Pause' })
    await pause.waitFor()
    // The second operator sees what was, because nothing newer reaches the page.
    let release: () => void = () => undefined
    const released = new Promise<void>(resolve => {
      release = resolve
    })
    await second.route('**/v1/callbacks/**', async route => {
      if (route.request().method() === 'GET') await released
      await route.continue().catch(() => undefined)
    })
    await first.getByRole('button', { name: 'Cancel…' }).click()
    await first.getByRole('button', { name: 'Cancel this callback' }).click()
    await first.getByText('It is cancelled.').waitFor()
    visits().expect(/409/)
    await pause.click()
    await second.getByText('Nothing was changed, because the callback has changed meanwhile.').waitFor()
    release()
    await second.locator('.facts').getByText('cancelled').waitFor()
  })

  it('stays small in a workspace of 100,000 callbacks, and leads to the older ones', async () => {
    await system.db.query(`
      INSERT INTO callbacks (id, workspace, received_at, due_at, object_ids)
      SELECT gen_random_uuid(), 'many', at, at, '{1}' FROM (SELECT now() - i * interval '1 ms' AS at FROM generate_series(1, 100000) AS i) AS each`)
    const page = await visits().openPage(system.callbackAdminUrl, '#/callbacks?workspace=many')
    await until(async () => (await rows(page).count()) === 50)
    const newest = await rows(page).first().innerText()
    await page.getByRole('button', { name: 'Older' }).click()
    await until(async () => (await rows(page).count()) > 0 && (await rows(page).first().innerText()) !== newest)
    assert.ok((await page.locator('*').count()) < 3000)
  })
})
