import assert from 'node:assert/strict'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'

/** Chromium says so of what the page itself gave up, or a navigation ended. */
const GIVEN_UP = /net::ERR_ABORTED|WebSocket is closed before the connection is established/

/** The pages that a test opens. Each visit is a fresh browser profile: it has no cookie, no storage and no cache. */
export class Visits {
  readonly #browser: Browser
  readonly #contexts: BrowserContext[] = []
  readonly #troubles: string[] = []
  readonly #expected: RegExp[] = []

  constructor(browser: Browser) {
    this.#browser = browser
  }

  /**
   * Opens the live page, and resolves when a view is shown.
   * @param adminUrl origin of the admin port. What the page asks of another origin is trouble
   * @param hash the view, such as `#/now`
   */
  async openPage(adminUrl: string, hash = '#/now', options: BrowserContextOptions = {}): Promise<Page> {
    const page = await (await this.#context(options)).newPage()
    this.#watch(page, adminUrl)
    await page.goto(`${adminUrl}/${hash}`)
    await page.locator('main h2').first().waitFor()
    return page
  }

  /** Opens any page, such as one of an attacker. Its trouble is not watched. */
  async openForeign(url: string): Promise<Page> {
    const page = await (await this.#context()).newPage()
    await page.goto(url)
    return page
  }

  /** Says which trouble belongs to the test: errors in the console, failed requests. */
  expect(...troubles: readonly RegExp[]): void {
    this.#expected.push(...troubles)
  }

  /** Trouble so far that no `expect` names: errors and warnings of the console, uncaught errors, failed requests, requests to another origin. */
  get troubles(): readonly string[] {
    return this.#troubles.filter(trouble => !this.#expected.some(pattern => pattern.test(trouble)))
  }

  /** Closes all pages. @throws {AssertionError} a page had trouble that the test did not expect */
  async end(): Promise<void> {
    await Promise.all(this.#contexts.map(context => context.close()))
    assert.deepEqual(this.troubles, [], 'trouble of the page')
  }

  async #context(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
    context.setDefaultTimeout(30_000)
    this.#contexts.push(context)
    return context
  }

  #watch(page: Page, adminUrl: string): void {
    const { host } = new URL(adminUrl)
    const requireOwn = (address: string): void => {
      const url = new URL(address)
      if (url.host !== host && url.protocol !== 'data:') this.#troubles.push(`another origin: ${address}`)
    }
    page.on('request', request => requireOwn(request.url()))
    page.on('websocket', socket => requireOwn(socket.url()))
    page.on('pageerror', error => this.#troubles.push(`uncaught: ${error.stack || error}`))
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type()) && !GIVEN_UP.test(message.text()))
        this.#troubles.push(`${message.type()}: ${message.text()} (${message.location().url})`)
    })
    page.on('requestfailed', request => {
      const reason = request.failure()?.errorText ?? ''
      if (!GIVEN_UP.test(reason)) this.#troubles.push(`request failed: ${request.url()} ${reason}`)
    })
  }
}
