import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { accept } from '../support/callbacks.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { type System, startSystem } from '../support/system.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { describePage } from './support/browser.ts'

const SUPERUSER_KEY = 'superuser-of-the-page-0123456789-0123456789'
/** What the browser writes about a service that is away, or says no. */
const TROUBLE = [/ERR_CONNECTION/, /ERR_EMPTY_RESPONSE/, /ERR_SOCKET_NOT_CONNECTED/, /WebSocket connection to .* failed/, /503/]

const rowsOf = (page: Page) => page.locator('table.callbacks tbody tr')
const rowOf = (page: Page, id: string) => rowsOf(page).filter({ has: page.locator(`[title="${id}"]`) })

describePage('the view Callbacks on a bad day', visits => {
  let system: System
  let postgres: TcpProxy
  let admin: TcpProxy
  let service: ServiceProcess

  before(async () => {
    system = await startSystem()
    postgres = new TcpProxy(system.databaseUrl)
    await postgres.start()
    service = await (await system.startCallbackService({ DATABASE_URL: postgres.url })).ready()
    admin = new TcpProxy(service.adminUrl)
    await admin.start()
  })

  after(async () => {
    await system.stop()
    await admin.stop()
    await postgres.stop()
  })

  it('misses no callback although the stream is cut again and again', async () => {
    visits().expect(...TROUBLE)
    const page = await visits().openPage(admin.url.replace(/\/$/, ''), '#/callbacks')
    const ids: string[] = []
    for (let cuts = 0; cuts < 4; cuts += 1) {
      await page.locator('.live-status').getByText('Live').waitFor()
      ids.push(await accept(service.url, [cuts]))
      admin.cut()
      ids.push(await accept(service.url, [cuts, 100]))
    }
    for (const id of ids) await rowOf(page, id).getByText('completed').waitFor()
    assert.equal(await rowsOf(page).count(), ids.length)
  })

  it('keeps its rows while Postgres is away, says so, and goes on when it is back', async () => {
    visits().expect(...TROUBLE)
    const before = await accept(service.url, [1])
    const page = await visits().openPage(service.adminUrl, '#/callbacks')
    await rowOf(page, before).getByText('completed').waitFor()
    postgres.refuse()
    try {
      await page.locator('.live-status').getByText('Waiting for Postgres').waitFor()
      assert.equal(await rowOf(page, before).count(), 1)
    } finally {
      postgres.forward()
    }
    const after = await accept(system.callbackUrl, [2])
    await rowOf(page, after).getByText('completed').waitFor()
    await page.locator('.live-status').getByText('Live').waitFor()
  })

  it('shows the callback that it has while Postgres is away, says how old that is, and comes back', async () => {
    visits().expect(...TROUBLE)
    const id = await accept(service.url, [1])
    const page = await visits().openPage(service.adminUrl, `#/callbacks/${id}`)
    await page.locator('.facts').getByText('completed').waitFor()
    postgres.refuse()
    try {
      await page.getByText(/^What you see is .* old\.$/).waitFor()
      await page.locator('.facts').getByText('completed').waitFor()
    } finally {
      postgres.forward()
    }
    await page.getByText(/^What you see is/).waitFor({ state: 'detached' })
  })
})

describePage('the view Callbacks with a key', visits => {
  let system: System

  before(async () => {
    system = await startSystem({ callback: { ACCESS_MODE: 'keys', ACCESS_SUPERUSER_KEYS: SUPERUSER_KEY } })
    await ask('/v1/workspaces', { name: 'shop' })
  })

  after(() => system.stop())

  async function ask(path: string, body: object): Promise<{ key: string }> {
    const response = await fetch(`${system.callbackUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${SUPERUSER_KEY}` },
      body: JSON.stringify(body),
    })
    assert.ok(response.ok, `${path} got ${response.status}`)
    return (await response.json()) as { key: string }
  }

  const send = () => accept(system.callbackUrl, [1], { authorization: `Bearer ${SUPERUSER_KEY}`, 'x-workspace': 'shop' })

  /** Opens the view as somebody who has given this key before. */
  async function openWith(role: string): Promise<Page> {
    // A key that may not do something gets 404, and the browser writes that down. Before there is a key, it is 401.
    visits().expect(/40[14]/, /426/, /WebSocket connection to .* failed/)
    const { key } = await ask('/v1/workspaces/shop/keys', { role })
    const page = await visits().openPage(system.callbackAdminUrl, '#/now')
    await page.evaluate(text => sessionStorage.setItem('answerback-key', text), key)
    await page.goto('about:blank')
    await page.goto(`${system.callbackAdminUrl}/#/callbacks`)
    return page
  }

  it('lets a key to manage act in its own workspace, without asking which', async () => {
    const id = await send()
    const page = await openWith('manage')
    await rowOf(page, id).getByRole('checkbox').check()
    await page.getByText('1 callback selected').waitFor()
    assert.deepEqual(await page.getByLabel('Workspace').locator('option').allInnerTexts(), ['shop'])
  })

  it('says to a key to read that it may change nothing, and follows what happens', async () => {
    const page = await openWith('read')
    await page.getByText('Your key may look at callbacks of this workspace, but not change them.').waitFor()
    const id = await send()
    await rowOf(page, id).getByText('completed').waitFor()
    assert.equal(await page.getByRole('checkbox', { name: /^Select/ }).count(), 0)
    await rowOf(page, id).getByRole('link').click()
    await page.getByText('Your key may look at this callback, but not change it.').waitFor()
  })

  it('says to a key to send that it may not follow changes', async () => {
    const id = await send()
    const page = await openWith('send')
    await rowOf(page, id).waitFor()
    await page.getByText('Your key may not follow changes').waitFor()
    await rowOf(page, id).getByRole('link').click()
    await page.getByText('Single fetches are not shown').waitFor()
  })
})
