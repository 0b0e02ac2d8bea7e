import assert from 'node:assert/strict'
import { type System, startSystem } from '../support/system.ts'
import { describePage, REBOUND_HOST } from './support/browser.ts'
import { HostileSite } from './support/hostile-site.ts'

describePage('a page of another site, in the browser of an operator', visits => {
  let system: System
  const site = new HostileSite()

  before(async () => {
    system = await startSystem()
    await site.start()
  })

  after(async () => {
    site.stop()
    await system.stop()
  })

  /** Runs a script of the site. @returns what it leaves in `document.title` */
  async function attack(script: string): Promise<string> {
    const page = await visits().openForeign(
      site.serve(`<script type="module">const target = ${JSON.stringify(system.callbackAdminUrl)}
        document.title = String(await (async () => { ${script} })().catch(error => error))</script>`),
    )
    await page.waitForFunction(() => document.title !== 'Hostile')
    return page.title()
  }

  async function storedCallbacks(): Promise<number> {
    return (await system.db.query('SELECT FROM callbacks')).rowCount ?? 0
  }

  it('cannot show the live page in a frame', async () => {
    const page = await visits().openForeign(site.serve(`<iframe src="${system.callbackAdminUrl}/"></iframe>`))
    const frame = page.frames()[1]
    assert.ok(frame)
    await frame.waitForLoadState()
    assert.doesNotMatch(await frame.content(), /<nav|importmap/)
  })

  it('can lead to the live page, but has no hold of its window', async () => {
    const page = await visits().openForeign(site.serve(''))
    const opening = page.context().waitForEvent('page')
    const held = await page.evaluateHandle(url => ({ window: open(url) }), `${system.callbackAdminUrl}/`)
    const opened = await opening
    await opened.locator('main h2').first().waitFor()
    assert.equal(await opened.evaluate(() => opener), null)
    assert.equal(await held.evaluate(({ window }) => window?.closed), true)
  })

  it('cannot send a callback by a form', async () => {
    const action = `${system.callbackAdminUrl}/callback`
    const page = await visits().openForeign(
      site.serve(`<form method="post" enctype="text/plain" action="${action}"><input name='{"object_ids":[1],"x":"' value='"}'></form>`),
    )
    const answer = page.waitForResponse(action)
    await page.evaluate(() => document.forms[0]?.submit())
    assert.equal((await answer).status(), 403)
    assert.equal(await storedCallbacks(), 0)
  })

  it('cannot send a callback by fetch', async () => {
    const body = JSON.stringify('{"object_ids":[1]}')
    await attack(`await fetch(target + '/callback', { method: 'POST', mode: 'no-cors', body: ${body} }); return 'sent'`)
    assert.equal(await storedCallbacks(), 0)
  })

  it('cannot send a callback with headers of its own', async () => {
    const answer = await attack(
      `await fetch(target + '/callback', { method: 'POST', headers: { 'X-Page-Token': 'x' }, body: '{"object_ids":[1]}' })`,
    )
    assert.match(answer, /Failed to fetch/)
    assert.equal(await storedCallbacks(), 0)
  })

  it('cannot change a setting', async () => {
    const settings = async (): Promise<unknown> => (await fetch(`${system.callbackAdminUrl}/config`)).json()
    const before = await settings()
    const answer = await attack(`await fetch(target + '/config', { method: 'PATCH', body: '{"fetch":{"concurrency":1}}' })`)
    assert.match(answer, /Failed to fetch/)
    assert.deepEqual(await settings(), before)
  })

  for (const path of ['/page/session', '/v1/callbacks', '/config', '/']) {
    it(`cannot read ${path}`, async () => {
      assert.match(await attack(`return (await fetch(target + '${path}')).text()`), /Failed to fetch/)
    })
  }

  it('cannot load a file of the live page as its own script', async () => {
    assert.match(await attack(`return Object.keys(await import(target + '/page/session.ts'))`), /Failed to fetch/)
  })

  it('cannot listen to the stream', async () => {
    const outcome = await attack(`
      const socket = new WebSocket(target.replace('http', 'ws') + '/v1/stream')
      return new Promise(resolve => { socket.onopen = () => resolve('open'); socket.onclose = () => resolve('closed') })`)
    assert.equal(outcome, 'closed')
  })

  for (const path of ['/', '/page/session', '/v1/callbacks']) {
    it(`cannot read ${path} by a host name that points at this machine`, async () => {
      const { port } = new URL(system.callbackAdminUrl)
      const page = await visits().openForeign(`http://${REBOUND_HOST}:${port}${path}`)
      assert.match(await page.locator('body').innerText(), /host_not_allowed/)
    })
  }
})
