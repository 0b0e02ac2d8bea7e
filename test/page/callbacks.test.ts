import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { accept, patchConfig, range } from '../support/callbacks.ts'
import { type System, startSystem } from '../support/system.ts'
import { axeFindings } from './support/axe.ts'
import { describePage } from './support/browser.ts'

describePage('the view Callbacks', visits => {
  let system: System
  let workspaces = 0

  before(async () => {
    system = await startSystem()
  })

  after(() => system.stop())

  /** Makes an empty workspace for one test. @param isPaused what it accepts waits */
  async function workspace(isPaused = true): Promise<{ name: string; url: string }> {
    const name = `page${++workspaces}`
    await send('POST', '/v1/workspaces', { name, paused: isPaused })
    return { name, url: system.callbackUrl }
  }

  async function send(method: string, path: string, body?: object): Promise<void> {
    const response = await fetch(`${system.callbackUrl}${path}`, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    assert.ok(response.ok, `${method} ${path} got ${response.status}`)
  }

  const acceptIn = (name: string, ids: readonly (number | string)[], headers = {}) =>
    accept(system.callbackUrl, ids, { 'x-workspace': name, ...headers })
  const open = (hash: string) => visits().openPage(system.callbackAdminUrl, hash)
  const rowsOf = (page: Page) => page.locator('table.callbacks tbody tr')
  const rowOf = (page: Page, id: string) => rowsOf(page).filter({ has: page.locator(`[title="${id}"]`) })
  const said = (page: Page, text: string | RegExp) => page.locator('.announcement').getByText(text).waitFor()
  const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name, exact: true })

  it('shows new callbacks on top, and each change in its row', async () => {
    const { name } = await workspace()
    const first = await acceptIn(name, [1])
    const page = await open(`#/callbacks?workspace=${name}`)
    await rowOf(page, first).getByText('pending').waitFor()
    const second = await acceptIn(name, [2])
    await rowOf(page, second).waitFor()
    assert.match(await rowsOf(page).first().innerHTML(), new RegExp(second))
    await send('PATCH', `/v1/workspaces/${name}`, { paused: false })
    await rowOf(page, first).getByText('completed').waitFor()
    await rowOf(page, second).getByText('completed').waitFor()
  })

  it('tells ages by the clock of the service, though that of the browser is an hour ahead', async () => {
    const { name } = await workspace()
    const id = await acceptIn(name, [1])
    const page = await open(`#/callbacks?workspace=${name}`)
    await rowOf(page, id).waitFor()
    await page.clock.setSystemTime(Date.now() + 3_600_000)
    for (let answers = 0; answers < 3; answers += 1) await page.waitForResponse(/\/activity/)
    await rowOf(page, id)
      .getByText(/^\d+ s so far$/)
      .waitFor()
    await rowOf(page, id)
      .getByText(/^\d+ s ago$/)
      .waitFor()
  })

  it('drops a callback that leaves the states in the address', async () => {
    const { name } = await workspace()
    const id = await acceptIn(name, [1])
    const page = await open(`#/callbacks?workspace=${name}&state=pending,failed`)
    await rowOf(page, id).waitFor()
    await send('PATCH', `/v1/callbacks/${id}?workspace_id=${name}`, { activated: false })
    await rowOf(page, id).waitFor({ state: 'detached' })
  })

  it('keeps the filter in the address, and in the link back from a callback', async () => {
    const { name } = await workspace()
    const id = await acceptIn(name, [7])
    const page = await open('#/callbacks')
    await page.getByLabel('Workspace').selectOption(name)
    await page.getByRole('checkbox', { name: 'pending' }).check()
    await page.getByLabel('Object id').first().fill('007')
    await button(page, 'Filter').click()
    await rowOf(page, id).getByRole('link').click()
    await page.getByRole('link', { name: '← Callbacks' }).click()
    await rowOf(page, id).waitFor()
    assert.equal(new URL(page.url()).hash, `#/callbacks?workspace=${name}&state=pending&object_id=7`)
  })

  it('finds objects beyond 2^53 exactly, and shows them so', async () => {
    const { name } = await workspace(false)
    const [id, other] = [await acceptIn(name, ['9007199254740993']), await acceptIn(name, ['9007199254740992'])]
    const page = await open(`#/callbacks?workspace=${name}`)
    await rowOf(page, other).waitFor()
    await page.getByLabel('Object id').first().fill('9007199254740993')
    await page.keyboard.press('Enter')
    await rowOf(page, other).waitFor({ state: 'detached' })
    assert.equal(
      await page
        .getByLabel('Object id')
        .first()
        .evaluate(element => element === document.activeElement),
      true,
    )
    await rowOf(page, id).getByRole('link').click()
    await page.getByRole('region', { name: 'Table of objects' }).getByText('9007199254740993', { exact: true }).waitFor()
    await page.getByRole('region', { name: 'Timeline as a table' }).getByText('9007199254740993', { exact: true }).waitFor()
  })

  it('refuses what is no id before it asks the service', async () => {
    const page = await open('#/callbacks')
    await page.getByLabel('Object id').first().fill('9223372036854775808')
    await page.getByText('This is not a 64-bit integer.').waitFor()
    await page.getByLabel('Callback id').fill('nonsense')
    await page.getByText('This is not the id of a callback.').waitFor()
    assert.equal(new URL(page.url()).hash, '#/callbacks')
  })

  it('opens a callback by its id, and says if there is none', async () => {
    visits().expect(/404/)
    const page = await open('#/callbacks')
    await page.getByLabel('Callback id').fill('01a2012d-e90a-70df-bfc6-c43b082c5343')
    await button(page, 'Open').click()
    await page
      .getByRole('status')
      .getByText(/No callback has this id|There is no such callback/)
      .waitFor()
  })

  it('holds new callbacks while rows are selected, and shows them when asked', async () => {
    const { name } = await workspace()
    const first = await acceptIn(name, [1])
    const page = await open(`#/callbacks?workspace=${name}`)
    await rowOf(page, first).getByRole('checkbox').check()
    const newer = [await acceptIn(name, [2]), await acceptIn(name, [3])]
    await button(page, '2 newer: show').click()
    for (const id of newer) await rowOf(page, id).waitFor()
    assert.equal(await rowsOf(page).count(), 3)
  })

  it('holds new callbacks while somebody has paused the updates', async () => {
    const { name } = await workspace()
    const first = await acceptIn(name, [1])
    const page = await open(`#/callbacks?workspace=${name}`)
    await rowOf(page, first).waitFor()
    await button(page, 'Pause updates').click()
    const second = await acceptIn(name, [2])
    await page.getByText('1 newer: show').waitFor()
    await button(page, 'Continue').click()
    await rowOf(page, second).waitFor()
  })

  it('leads to older callbacks, with at most 50 rows in the document', async () => {
    const { name } = await workspace()
    const oldest = await acceptIn(name, [1])
    for (let n = 0; n < 60; n += 1) await acceptIn(name, [n])
    const page = await open(`#/callbacks?workspace=${name}&state=pending,paused`)
    await page.getByText(/^Rows 1 to 50/).waitFor()
    assert.equal(await rowsOf(page).count(), 50)
    await button(page, 'Older').click()
    await rowOf(page, oldest).waitFor()
    assert.equal(await rowsOf(page).count(), 11)
  })

  it('goes to the older callbacks as soon as the service can read them again', async () => {
    visits().expect(/503/)
    const { name } = await workspace()
    const oldest = await acceptIn(name, [1])
    for (let n = 0; n < 50; n += 1) await acceptIn(name, [n])
    await send('POST', `/v1/callbacks/flush?workspace_id=${name}`)
    const page = await open(`#/callbacks?workspace=${name}`)
    await page.getByText(/^Rows 1 to 50/).waitFor()
    const problem = { code: 'too_many_reads', title: 'Too many reads are under way', detail: 'Too many reads are under way.' }
    await page.route(/\/v1\/callbacks\?.*cursor=/, route => route.fulfill({ status: 503, json: problem }), { times: 1 })
    await button(page, 'Older').click()
    await page.getByText('The list cannot be read now: Too many reads are under way.').waitFor()
    await rowOf(page, oldest).waitFor()
  })

  it('shows names and ids full of markup as text', async () => {
    const { name } = await workspace()
    const id = await acceptIn(name, [1], { 'x-request-id': '<img/src=x/onerror=alert(1)>' })
    const page = await open(`#/callbacks/${id}?workspace=${name}`)
    await page.getByText('<img/src=x/onerror=alert(1)>', { exact: true }).waitFor()
    assert.equal(await page.locator('main img').count(), 0)
  })

  it('shows each attempt with its fetches, and which of them failed', async () => {
    const { name } = await workspace(false)
    await patchConfig(system.clientAdminUrl, { faults: { errorShare: 1, objectIds: '4242' } })
    try {
      const id = await acceptIn(name, [4242, ...range(1, 9)])
      const page = await open(`#/callbacks/${id}?workspace=${name}`)
      const timeline = page.getByRole('region', { name: 'Timeline as a table' })
      await timeline.getByText(/^Attempt 1/).waitFor()
      const failed = timeline.getByRole('row').filter({ hasText: 'Object 4242' }).first()
      await failed.getByText('http 500').waitFor()
      assert.equal(await failed.locator('.bar.failed').count(), 1)
      await timeline
        .getByText(/9 stored, 1 pending \(http_500\)/)
        .first()
        .waitFor()
    } finally {
      await patchConfig(system.clientAdminUrl, { faults: { errorShare: 0, objectIds: '' } })
    }
  })

  it('shows 1,000 objects in steps, and finds one by its id', async () => {
    const { name } = await workspace()
    const id = await acceptIn(name, range(5000, 1000))
    const page = await open(`#/callbacks/${id}?workspace=${name}`)
    const objects = page.getByRole('region', { name: 'Table of objects' }).getByRole('row')
    await page.getByText('100 of 1,000 shown').waitFor()
    assert.equal(await objects.count(), 101)
    await page.getByLabel('Find by id').fill('5999')
    await page.getByText('1 of 1 shown').waitFor()
    assert.equal(await objects.count(), 2)
  })

  it('pauses, resumes and prioritises a callback, and says so', async () => {
    const { name } = await workspace()
    const id = await acceptIn(name, [1])
    const page = await open(`#/callbacks/${id}?workspace=${name}`)
    await button(page, 'Pause').click()
    await said(page, 'It is paused.')
    await button(page, 'Resume').click()
    await said(page, 'It waits for a worker again.')
    await page.getByLabel('Priority').fill('7')
    await button(page, 'Set').click()
    await said(page, 'Its priority is 7.')
    await page.getByRole('region', { name: 'Timeline as a table' }).getByText('Prioritised: priority 7, by api').waitFor()
  })

  it('asks before it cancels, with the keyboard alone, and gives the focus back', async () => {
    const { name } = await workspace()
    const id = await acceptIn(name, [1])
    const page = await open(`#/callbacks/${id}?workspace=${name}`)
    const cancel = button(page, 'Cancel…')
    await cancel.focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    assert.equal(await cancel.evaluate(element => element === document.activeElement), true)
    await page.keyboard.press('Enter')
    await button(page, 'Cancel this callback').focus()
    await page.keyboard.press('Enter')
    await said(page, 'It is cancelled.')
    assert.equal(await cancel.evaluate(element => element === document.activeElement), true)
    await button(page, 'Retry missing').click()
    await said(page, /^✓ It goes one more round/)
  })

  it('sends a change once, however often somebody clicks', async () => {
    const { name } = await workspace()
    const id = await acceptIn(name, [1])
    const page = await open(`#/callbacks/${id}?workspace=${name}`)
    let sent = 0
    page.on('request', request => {
      if (request.method() === 'PATCH') sent += 1
    })
    await button(page, 'Pause').evaluate((element: HTMLElement) => {
      for (let clicks = 0; clicks < 5; clicks += 1) element.click()
    })
    await said(page, 'It is paused.')
    assert.equal(sent, 1)
  })

  it('says that another operator was faster, and shows what is now', async () => {
    visits().expect(/409/)
    const { name } = await workspace()
    const id = await acceptIn(name, [1])
    const page = await open(`#/callbacks/${id}?workspace=${name}`)
    await button(page, 'Pause').waitFor()
    await page.route('**/v1/callbacks/*', async route => {
      if (route.request().method() === 'PATCH') await send('DELETE', `/v1/callbacks/${id}?workspace_id=${name}`)
      await route.continue()
    })
    await button(page, 'Pause').click()
    await said(page, /callback has changed meanwhile. The callback is cancelled. \(callback_finished\)/)
    await page.locator('.facts').getByText('cancelled').waitFor()
  })

  it('changes selected callbacks one after the other', async () => {
    const { name } = await workspace()
    const ids = [await acceptIn(name, [1]), await acceptIn(name, [2])]
    const page = await open(`#/callbacks?workspace=${name}`)
    await rowOf(page, ids[1] as string).waitFor()
    await page.getByRole('checkbox', { name: 'Select all rows of this page' }).check()
    await button(page, 'Pause').click()
    await said(page, '2 of 2 paused.')
    for (const id of ids) await rowOf(page, id).getByText('paused').waitFor()
  })

  it('counts before it changes many, starts once, and shows the progress after a reload', async () => {
    const { name } = await workspace()
    for (const n of range(1, 12)) await acceptIn(name, [n])
    const page = await open(`#/callbacks?workspace=${name}`)
    await page.getByText('Change all callbacks that match a filter').click()
    await page.getByRole('combobox', { name: 'Change' }).selectOption('pause')
    await page.getByLabel('Callbacks a second').fill('1')
    await button(page, 'Count what matches').click()
    await page.getByText('12 match now. It will do this: Pause pending or running callbacks: 1 a second.').waitFor()
    await button(page, 'Start: change 12').click()
    await said(page, 'The operation has started.')
    await page.reload()
    await page.getByText(/of 12 changed, .* to go at the longest/).waitFor()
    await button(page, 'Abort').click()
    await said(page, 'The operation is aborted.')
    await page.getByText(/^Aborted: /).waitFor()
    const { rows } = await system.db.query('SELECT dry_run FROM operations WHERE workspace = $1 ORDER BY dry_run', [name])
    assert.deepEqual(
      rows.map(row => row.dry_run),
      [false, true],
    )
  })

  it('starts one operation although its first answer was lost', async () => {
    visits().expect(/ERR_FAILED|ERR_CONNECTION/)
    const { name } = await workspace()
    await acceptIn(name, [1])
    const page = await open(`#/callbacks?workspace=${name}`)
    await page.getByText('Change all callbacks that match a filter').click()
    await page.getByRole('combobox', { name: 'Change' }).selectOption('pause')
    await button(page, 'Count what matches').click()
    await button(page, 'Start: change 1').waitFor()
    await page.route(
      '**/v1/operations?*',
      async route => {
        await route.fetch()
        await route.abort()
      },
      { times: 1 },
    )
    await button(page, 'Start: change 1').click()
    await page.getByText('Send the form again: it starts one operation at most.').waitFor()
    await button(page, 'Start: change 1').click()
    await said(page, 'The operation has started.')
    const { rows } = await system.db.query('SELECT FROM operations WHERE workspace = $1 AND NOT dry_run', [name])
    assert.equal(rows.length, 1)
  })

  it('follows a callback until it is finished', async () => {
    const { name } = await workspace()
    const id = await acceptIn(name, [1, 2])
    const page = await open(`#/callbacks/${id}?workspace=${name}`)
    await page.locator('.facts').getByText('pending').waitFor()
    await send('PATCH', `/v1/workspaces/${name}`, { paused: false })
    await page.locator('.facts').getByText('completed').waitFor()
    await page.getByRole('region', { name: 'Timeline as a table' }).getByText('2 stored').waitFor()
  })

  for (const [what, prepare] of [
    [
      'the table with a selection and the form',
      async (page: Page, id: string) => {
        await rowOf(page, id).getByRole('checkbox').check()
        await page.getByText('Change all callbacks that match a filter').click()
        await page
          .locator('summary')
          .getByText(/^Operations of/)
          .click()
      },
    ],
    [
      'one callback with a dialog',
      async (page: Page, id: string) => {
        await rowOf(page, id).getByRole('link').click()
        await page.locator('table.timeline').waitFor()
        await button(page, 'Cancel…').click()
      },
    ],
  ] as const) {
    it(`shows ${what} so that axe-core finds nothing serious, in light and dark`, async () => {
      const { name } = await workspace()
      const id = await acceptIn(name, range(1, 30))
      await send('POST', `/v1/operations?workspace_id=${name}`, { kind: 'cancel', filter: { state: 'paused' } })
      const page = await open(`#/callbacks?workspace=${name}`)
      await prepare(page, id)
      const light = await axeFindings(page)
      await page.emulateMedia({ colorScheme: 'dark' })
      assert.deepEqual([light, await axeFindings(page)], [[], []])
    })
  }
})
