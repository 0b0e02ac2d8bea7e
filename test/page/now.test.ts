import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { accept, range } from '../support/callbacks.ts'
import { type System, startSystem } from '../support/system.ts'
import { describePage } from './support/browser.ts'

describePage('the view Now', visits => {
  let system: System

  before(async () => {
    system = await startSystem()
    for (let sent = 0; sent < 20; sent += 1) await accept(system.callbackUrl, range(1, 5))
  })

  after(() => system.stop())

  async function openNow(options: Parameters<ReturnType<typeof visits>['openPage']>[2] = {}): Promise<Page> {
    const page = await visits().openPage(system.callbackAdminUrl, '#/now', options)
    await page.locator('.plot canvas').last().waitFor()
    return page
  }

  it('is full for a page just opened, from what the service has kept', async () => {
    // The second in which the last callback came must have a sample.
    await (await openNow()).getByText(/^accepted: .* highest [0-9.]*[1-9]/).waitFor({ state: 'attached' })
    const page = await openNow()
    const words = await page.locator('.plot .words').first().innerText()
    assert.match(words, /^accepted: .* highest [0-9.]*[1-9]/)
    assert.equal(await page.locator('.light').count(), 6)
    assert.match(await page.locator('.figures').first().innerText(), /Live objects\s+5\b/)
  })

  it('shows everything on a screen of 1280x800, and never needs to scroll to the side', async () => {
    const page = await openNow()
    const height = () => page.evaluate(() => document.documentElement.scrollHeight)
    const width = () => page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok((await height()) <= 800, `it is ${await height()} high`)
    for (const narrow of [800, 400, 320]) {
      await page.setViewportSize({ width: narrow, height: 800 })
      await page.waitForFunction(() => [...document.querySelectorAll('canvas')].every(({ clientWidth }) => clientWidth <= innerWidth))
      assert.ok((await width()) <= narrow, `it is ${await width()} wide on a screen of ${narrow}`)
    }
  })

  it('shows the values of one moment in all plots', async () => {
    const page = await openNow()
    const times = () => page.locator('.plot .at').allInnerTexts()
    await page.getByText(/^accepted: newest/).waitFor({ state: 'attached' })
    const over = page.locator('.plot .u-over').first()
    const { width } = (await over.boundingBox()) ?? assert.fail('there is no plot')
    await over.hover({ position: { x: width - 4, y: 20 } })
    await page.waitForFunction(() => [...document.querySelectorAll('.plot .at')].every(({ textContent }) => textContent))
    assert.equal(new Set(await times()).size, 1, String(await times()))
    await page.getByRole('heading', { level: 1 }).hover()
    await page.waitForFunction(() => [...document.querySelectorAll('.plot .at')].every(({ textContent }) => !textContent))
  })

  it('keeps the colours that the operator has chosen', async () => {
    const page = await openNow({ colorScheme: 'light' })
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await background()
    await page.getByLabel('Colours').selectOption('dark')
    const dark = await background()
    assert.notEqual(dark, light)
    await page.reload()
    assert.deepEqual([await background(), await page.getByLabel('Colours').inputValue()], [dark, 'dark'])
  })

  it('draws the plots in the colours of the scheme', async () => {
    const page = await openNow({ colorScheme: 'light' })
    const isDrawn = (colour: readonly number[]) =>
      page.waitForFunction(colour => {
        const canvas = document.querySelector('canvas') as HTMLCanvasElement
        const { data } = (canvas.getContext('2d') as CanvasRenderingContext2D).getImageData(0, 0, canvas.width, canvas.height)
        return data.some((_, index) => index % 4 === 0 && colour.every((value, channel) => data[index + channel] === value))
      }, colour)
    visits().expect(/willReadFrequently/)
    // The colours of the grid.
    await isDrawn([0xd3, 0xd7, 0xde, 255])
    await page.emulateMedia({ colorScheme: 'dark' })
    await isDrawn([0x36, 0x3d, 0x48, 255])
  })
})

describePage('the frame of the live page', visits => {
  let system: System

  before(async () => {
    system = await startSystem()
  })

  after(() => system.stop())

  function focused(page: Page): Promise<string> {
    return page.evaluate(() => document.activeElement?.textContent?.trim() ?? '')
  }

  it('moves the focus to the heading of a new view, but not when it opens', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    assert.equal(await page.evaluate(() => document.activeElement === document.body), true)
    await page.getByRole('link', { name: 'Senders' }).click()
    await page.waitForFunction(() => document.activeElement?.tagName === 'H2')
    assert.equal(await focused(page), 'Senders')
  })

  it('leads past its navigation with two keys', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    await page.keyboard.press('Tab')
    assert.equal(await focused(page), 'Skip to the content')
    await page.keyboard.press('Enter')
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'main')
  })

  it('lets the keyboard out of the plots', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    await page.locator('.plot canvas').last().waitFor()
    await page.locator('main').focus()
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.querySelector('main')?.contains(document.activeElement) ?? false), false)
  })

  it('stays usable when a view fails', async () => {
    visits().expect(/this view is broken/)
    const page = await visits().openPage(system.callbackAdminUrl)
    const body = 'export function SendersView() { throw new Error("this view is broken") }'
    await page.route('**/page/views/senders.ts', route => route.fulfill({ contentType: 'text/javascript', body }))
    await page.reload()
    await page.getByRole('link', { name: 'Senders' }).click()
    await page.getByText('Error: this view is broken').waitFor()
    await page.getByRole('link', { name: 'Now' }).click()
    await page.locator('.plot canvas').last().waitFor()
  })

  it('offers to reload when another version of it is running', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    await page.locator('.lights').waitFor()
    await page.route('**/page/session', async route => {
      const session = await (await route.fetch()).json()
      await route.fulfill({ json: { ...session, version: 'another' } })
    })
    // What a process says that has just started.
    await page.route(/\/activity\?/, async route => route.continue({ url: route.request().url().replace(/\?.*/, '') }))
    await page.getByText('A new version is running').waitFor()
    await page.unrouteAll()
    await page.getByRole('button', { name: 'Reload' }).click()
    await page.getByText('A new version is running').waitFor({ state: 'detached' })
  })

  it('says for how long it has heard nothing of a process that hangs', async () => {
    const page = await visits().openPage(system.callbackAdminUrl)
    await page.locator('.lights').waitFor()
    system.callbackService.signal('SIGSTOP')
    try {
      await page.getByText(/Connection lost\s+\d+ s\s+ago/).waitFor()
    } finally {
      system.callbackService.signal('SIGCONT')
    }
    await page.getByText('Connected again.', { exact: true }).waitFor()
  })
})
