import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { type System, startSystem } from '../support/system.ts'
import { axeFindings } from './support/axe.ts'
import { describePage } from './support/browser.ts'

const SUPERUSER_KEY = 'superuser-'.repeat(4)
const HEADERS = { authorization: `Bearer ${SUPERUSER_KEY}`, 'content-type': 'application/json' }

describePage('the live page, while callers need a key', visits => {
  let system: System

  before(async () => {
    system = await startSystem({ callback: { ACCESS_SUPERUSER_KEYS: SUPERUSER_KEY } })
    await post('/v1/workspaces', { name: 'shop' })
  })

  after(() => system.stop())

  async function post(path: string, body: object): Promise<{ id: string; key: string }> {
    const response = await fetch(`${system.callbackUrl}${path}`, { method: 'POST', headers: HEADERS, body: JSON.stringify(body) })
    assert.equal(response.status, 201)
    return (await response.json()) as { id: string; key: string }
  }

  const prompt = (page: Page) => page.getByLabel('Key', { exact: true })

  async function enter(page: Page, key: string): Promise<void> {
    await prompt(page).fill(key)
    await page.getByRole('button', { name: 'Use the key' }).click()
  }

  async function opened(): Promise<Page> {
    const page = await visits().openPage(system.callbackAdminUrl)
    await prompt(page).waitFor()
    return page
  }

  it('asks for a key, and shows whose it is once it works', async () => {
    const page = await opened()
    assert.deepEqual(await axeFindings(page), [])
    await enter(page, ` ${(await post('/v1/workspaces/shop/keys', { role: 'read' })).key} `)
    await page.getByText('Key of role read, workspace shop').waitFor()
    assert.match(await page.locator('h2').first().innerText(), /^Now/)
  })

  it('keeps the key over a reload, in this tab alone, and never in the address', async () => {
    const page = await opened()
    await enter(page, SUPERUSER_KEY)
    await page.getByText('Key of a superuser, all workspaces').waitFor()
    await page.reload()
    await page.getByText('Key of a superuser, all workspaces').waitFor()
    assert.ok(!page.url().includes(SUPERUSER_KEY))
    assert.ok(!(await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie)).includes(SUPERUSER_KEY))
    const other = await page.context().newPage()
    await other.goto(system.callbackAdminUrl)
    await prompt(other).waitFor()
    await other.close()
  })

  it('says that a key is not valid, and asks again', async () => {
    visits().expect(/401/)
    const page = await opened()
    await enter(page, 'no key at all')
    await page.getByText('without spaces').waitFor()
    await enter(page, 'nobody-knows-this-key')
    await page.getByText('The service refuses the key.').waitFor()
    await enter(page, SUPERUSER_KEY)
    await page.getByText('Key of a superuser').waitFor()
  })

  it('says that a key was revoked while the page was open', async () => {
    visits().expect(/401/, /WebSocket/)
    const { id, key } = await post('/v1/workspaces/shop/keys', { role: 'manage' })
    const page = await opened()
    await enter(page, key)
    await page.getByText('Key of role manage').waitFor()
    const revoked = await fetch(`${system.callbackUrl}/v1/workspaces/shop/keys/${id}`, { method: 'DELETE', headers: HEADERS })
    assert.equal(revoked.status, 204)
    await page.getByText('The key no longer works').waitFor({ timeout: 20_000 })
    assert.equal(await page.evaluate(() => sessionStorage.getItem('answerback-key')), '')
  })

  it('shows what becomes of a callback to a key that may only send', async () => {
    const page = await opened()
    await enter(page, (await post('/v1/workspaces/shop/keys', { role: 'send' })).key)
    await page.getByText('Key of role send').waitFor()
    await page.getByRole('link', { name: 'Try it' }).click()
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    await page.locator('.sent b').getByText('completed').waitFor()
    assert.equal(await page.getByText('The stream is interrupted').count(), 0)
  })

  it('forgets with a key what was sent with it', async () => {
    // The page may ask about the callback once more while it has no key.
    visits().expect(/status of 401/)
    const page = await opened()
    await enter(page, SUPERUSER_KEY)
    await page.getByRole('link', { name: 'Try it' }).click()
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    await page.locator('.sent .id').first().waitFor()
    await page.getByRole('button', { name: 'Change the key' }).click()
    await enter(page, (await post('/v1/workspaces/shop/keys', { role: 'manage' })).key)
    await page.getByText('What you send appears here.').waitFor()
    assert.equal(await page.locator('.sent').count(), 0)
  })

  it('forgets the key on demand', async () => {
    const page = await opened()
    await enter(page, SUPERUSER_KEY)
    await page.getByRole('button', { name: 'Change the key' }).click()
    await prompt(page).waitFor()
    assert.equal(await page.evaluate(() => sessionStorage.getItem('answerback-key')), '')
  })
})
