import { type Browser, chromium } from 'playwright-core'
import { findChromium, HOW_TO_GET_CHROMIUM } from './chromium.ts'
import { Visits } from './visits.ts'

/** A name that the browser finds at 127.0.0.1, as an attacker can arrange by DNS rebinding. */
export const REBOUND_HOST = 'rebound.example'

/** A page opens in a fifth less time without a spare process for the next one, and without a process for the network. */
const FRUGAL = ['--renderer-process-limit=1', '--enable-features=NetworkServiceInProcess2']

let running: Promise<Browser> | undefined

/** Starts the browser, or returns the one that runs. Whoever calls it calls `closeBrowser` at the end. @throws {Error} there is none */
export function browser(): Promise<Browser> {
  running ??= launch()
  return running
}

/** Ends the browser. Safe to repeat. */
export async function closeBrowser(): Promise<void> {
  const closing = running
  running = undefined
  await (await closing)?.close()
}

/**
 * Describes tests of the live page in a real browser, all in the same process of it. Each test has its own `Visits`: it fails if one of its pages had trouble
 * that the test did not name. Without a browser the tests are pending.
 */
export function describePage(title: string, body: (this: Mocha.Suite, visits: () => Visits) => void): void {
  if (!findChromium()) {
    describe.skip(`${title} (left out: there is no browser)`, function () {
      body.call(this, () => {
        throw new Error('there is no browser')
      })
    })
    return
  }
  // Of the whole run, because other files use the same browser.
  after(closeBrowser)
  describe(title, function () {
    this.timeout(90_000)
    let visits: Visits
    beforeEach(async () => {
      visits = new Visits(await browser())
    })
    afterEach(() => visits.end())
    body.call(this, () => visits)
  })
}

async function launch(): Promise<Browser> {
  const executablePath = findChromium()
  if (!executablePath) throw new Error(`There is no browser: ${HOW_TO_GET_CHROMIUM}.`)
  // Containers have neither a GPU, nor much shared memory, nor the rights for Chromium's sandbox.
  return chromium.launch({
    executablePath,
    chromiumSandbox: false,
    args: ['--disable-gpu', '--disable-dev-shm-usage', ...FRUGAL, `--host-resolver-rules=MAP ${REBOUND_HOST} 127.0.0.1`],
  })
}
