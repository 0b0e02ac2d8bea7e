import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { freePort } from '../../deploy/local/ports.ts'
import { accept } from '../support/callbacks.ts'
import { until } from '../support/eventually.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { type System, startSystem } from '../support/system.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { describePage } from './support/browser.ts'

const SUPERUSER_KEY = 'superuser-'.repeat(4)
/** What the browser writes about a service that is away. */
const NO_ANSWER = [
  /ERR_CONNECTION_REFUSED/,
  /ERR_CONNECTION_RESET/,
  /ERR_EMPTY_RESPONSE/,
  /ERR_SOCKET_NOT_CONNECTED/,
  /WebSocket connection to .* failed/,
]

describePage('a live page that stays open', visits => {
  let system: System
  let postgres: TcpProxy
  let service: ServiceProcess
  let ports: { readonly HTTP_PORT: string; readonly ADMIN_PORT: string }

  before(async () => {
    system = await startSystem()
    postgres = new TcpProxy(system.databaseUrl)
    await postgres.start()
    ports = { HTTP_PORT: String(await freePort()), ADMIN_PORT: String(await freePort()) }
    await start()
  })

  after(async () => {
    await system.stop()
    await postgres.stop()
  })

  async function start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    service = await (await system.startCallbackService({ DATABASE_URL: postgres.url, ...ports, ...env })).ready()
  }

  function notices(page: Page) {
    return page.locator('.notices')
  }

  /** Sends a callback by the page's own code, as its views do. @returns its id */
  function sendFrom(page: Page): Promise<string> {
    return page.evaluate(async () => {
      const path = new URL('page/api.ts', location.href).href
      const { ask } = (await import(path)) as { ask(path: string, options: object): Promise<{ id: string }> }
      return (await ask('callback', { method: 'POST', body: '{"object_ids":[1]}' })).id
    })
  }

  it('says that the service is gone, comes back by itself, and acts although its token is of a process that was killed', async () => {
    visits().expect(...NO_ANSWER, /403/)
    const page = await visits().openPage(service.adminUrl)
    await sendFrom(page)
    const killed = service.pid
    await service.stop('SIGKILL')
    await notices(page).getByText('Connection lost').waitFor()
    await start()
    await notices(page).getByText('Connected again').waitFor()
    assert.notEqual(service.pid, killed)
    await page.getByText(`process ${service.pid}`).waitFor()
    const id = await sendFrom(page)
    assert.equal((await system.db.query('SELECT FROM callbacks WHERE id = $1', [id])).rowCount, 1)
  })

  it('says that Postgres is away, keeps what it shows, and says when it is back', async () => {
    visits().expect(/503/)
    const page = await visits().openPage(service.adminUrl)
    await page.getByRole('listitem').filter({ hasText: 'Postgres takes callbacks' }).waitFor()
    const figures = await page.locator('main dl, main table').count()
    postgres.refuse()
    try {
      await notices(page).getByText('Postgres').waitFor()
      assert.equal(await page.locator('main dl, main table').count(), figures)
    } finally {
      postgres.forward()
    }
    await page.getByRole('listitem').filter({ hasText: 'Postgres takes callbacks' }).waitFor()
    await notices(page).getByText('Postgres').waitFor({ state: 'detached' })
  })

  it('is current after a night in which the computer slept', async () => {
    const page = await visits().openPage(service.adminUrl)
    await page.getByRole('listitem').filter({ hasText: 'Postgres takes callbacks' }).waitFor()
    await page.clock.install()
    await page.clock.fastForward('24:00:00')
    const answered = page.waitForResponse(response => response.url().includes('/activity') && response.ok())
    await page.clock.runFor(20_000)
    await answered
    assert.doesNotMatch(await notices(page).innerText(), /lost/)
  })

  it('misses no callback while its connections are cut again and again', async () => {
    visits().expect(...NO_ANSWER)
    const admin = new TcpProxy(service.adminUrl)
    await admin.start()
    try {
      const page = await visits().openPage(new URL(admin.url).origin, '#/callbacks')
      const row = (id: string) => page.locator('tbody tr').filter({ has: page.locator(`a[title="${id}"]`) })
      const ids: string[] = []
      for (let cuts = 0; cuts < 6; cuts += 1) {
        await page.locator('.live-status').filter({ hasText: 'Live' }).waitFor()
        for (let sent = 0; sent < 4; sent += 1) ids.push(await accept(service.url, [cuts, sent]))
        admin.cut()
      }
      for (const id of ids) await row(id).getByText('completed').waitFor()
      await until(async () => !/lost/.test(await notices(page).innerText()))
    } finally {
      await admin.stop()
    }
  })

  it('keeps its rows while Postgres is away', async () => {
    visits().expect(/503/)
    const id = await accept(service.url, [1])
    const page = await visits().openPage(service.adminUrl, '#/callbacks')
    const row = page.locator('tbody tr').filter({ has: page.locator(`a[title="${id}"]`) })
    await row.getByText('completed').waitFor()
    postgres.refuse()
    try {
      await notices(page).getByText('Postgres').waitFor()
      assert.ok(await row.isVisible())
    } finally {
      postgres.forward()
    }
    await notices(page).getByText('Postgres').waitFor({ state: 'detached' })
    const late = await accept(service.url, [2])
    await page.locator(`a[title="${late}"]`).waitFor()
  })

  it('shows ages by the clock of the service, although that of the browser is an hour ahead', async () => {
    const id = await accept(service.url, [1])
    const page = await visits().openPage(service.adminUrl, '#/callbacks')
    await page.clock.install({ time: Date.now() + 3_600_000 })
    await page.reload()
    const row = page.locator('tbody tr').filter({ has: page.locator(`a[title="${id}"]`) })
    await row.getByText(/^\d+ s ago$/).waitFor()
  })

  it('offers all workspaces as soon as the service can list them', async () => {
    visits().expect(/503/)
    const page = await visits().openPage(service.adminUrl)
    let failures = 0
    await page.route(
      '**/v1/workspaces?*',
      route => {
        failures += 1
        return route.fulfill({ status: 503, json: { code: 'storage_unavailable', detail: 'The database does not answer.' } })
      },
      { times: 2 },
    )
    const response = await fetch(`${service.url}/v1/workspaces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"name":"shop"}',
    })
    assert.equal(response.status, 201)
    await page.getByRole('link', { name: 'Callbacks' }).click()
    await page.getByLabel('Workspace').locator('option', { hasText: 'shop' }).waitFor({ state: 'attached' })
    assert.equal(failures, 2)
  })

  it('does not call the table live while the service hangs', async () => {
    visits().expect(...NO_ANSWER)
    const page = await visits().openPage(service.adminUrl, '#/callbacks')
    const status = page.locator('.live-status')
    await status.getByText('Live').waitFor()
    service.signal('SIGSTOP')
    try {
      await notices(page).getByText('Connection lost').waitFor()
      await status.getByText('Connection lost').waitFor({ timeout: 1000 })
    } finally {
      service.signal('SIGCONT')
    }
    await status.getByText('Live').waitFor()
  })

  it('asks for a key once the service has restarted and needs one', async () => {
    visits().expect(...NO_ANSWER, /401/)
    const page = await visits().openPage(service.adminUrl, '#/callbacks')
    await page.locator('.live-status').getByText('Live').waitFor()
    await service.stop()
    await start({ ACCESS_MODE: 'keys', ACCESS_SUPERUSER_KEYS: SUPERUSER_KEY })
    await page.getByLabel('Key', { exact: true }).fill(SUPERUSER_KEY)
    await page.getByRole('button', { name: 'Use the key' }).click()
    await page.locator('.live-status').getByText('Live').waitFor()
  })
})
