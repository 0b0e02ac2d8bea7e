import assert from 'node:assert/strict'
import { type System, startSystem } from '../support/system.ts'
import { axeFindings } from './support/axe.ts'
import { describePage } from './support/browser.ts'

const VIEWS = { now: 'Now', callbacks: 'Callbacks', senders: 'Senders', agents: 'Agents', try: 'Try' } as const

describePage('the live page', visits => {
  let system: System

  before(async () => {
    system = await startSystem()
  })

  after(() => system.stop())

  for (const [name, title] of Object.entries(VIEWS)) {
    it(`shows the view ${title}, and asks nobody but the admin port`, async () => {
      const page = await visits().openPage(system.callbackAdminUrl, `#/${name}`)
      await page.waitForFunction(start => document.title.startsWith(start), title)
      assert.equal(await page.locator('nav [aria-current=page]').innerText(), (await page.title()).split(' · ')[0])
    })

    it(`shows the view ${title} so that axe-core finds nothing serious, in light and dark`, async () => {
      const page = await visits().openPage(system.callbackAdminUrl, `#/${name}`)
      const light = await axeFindings(page)
      await page.emulateMedia({ colorScheme: 'dark' })
      assert.deepEqual([light, await axeFindings(page)], [[], []])
    })
  }

  it('leads to each view by its navigation, with the keyboard', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    for (const [name, title] of Object.entries(VIEWS).toReversed()) {
      const link = page.locator(`nav a[href="#/${name}"]`)
      await link.focus()
      await page.keyboard.press('Enter')
      await page.waitForFunction(start => document.title.startsWith(start), title)
    }
  })

  it('runs no script but its own', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    const ran = await page.evaluate(async () => {
      const script = document.createElement('script')
      // Text: with trusted types, an assignment of code throws.
      script.append(document.createTextNode('window.hasRun = true'))
      document.body.append(script)
      const image = document.createElement('img')
      try {
        image.setAttribute('onerror', 'window.hasRun = true')
      } catch (error) {
        if (!(error instanceof TypeError)) throw error
      }
      const failed = new Promise(resolve => image.addEventListener('error', resolve))
      image.src = 'data:,'
      document.body.append(image)
      await failed
      return 'hasRun' in window
    })
    assert.equal(ran, false)
    assert.match(String(visits().troubles), /Content Security Policy|TrustedScript/)
    visits().expect(/Content Security Policy|TrustedScript/)
  })

  it('makes no markup of a text', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    visits().expect(/TrustedHTML/)
    const refused = await page.evaluate(() => {
      try {
        document.createElement('div').innerHTML = '<b>bold</b>'
        return 'done'
      } catch (error) {
        return String(error)
      }
    })
    assert.match(refused, /TrustedHTML/)
  })

  it('cannot send anything to another origin', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    visits().expect(/Content Security Policy/, /another origin/, /csp/)
    const refused = await page.evaluate(url => fetch(url, { mode: 'no-cors' }).then(String, String), system.clientUrl)
    assert.match(refused, /Failed to fetch/)
  })
})
