import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { browser, closeBrowser } from './support/browser.ts'
import { playScenario } from './support/scenario.ts'
import { Visits } from './support/visits.ts'

/**
 * `make screenshots` takes a picture of each view of the live page, light and dark, for docs/images. It starts its own system and lets it work for
 * `--minutes` (default: 15, the time that the plots show).
 */
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '15' }, folder: { type: 'string' } } })
const folder = values.folder ?? fileURLToPath(new URL('../../docs/images', import.meta.url))
const MAX_BYTES = 250_000

interface View {
  readonly hash: string
  /** Waits until there is something to see. */
  readonly show: (page: Page) => Promise<void>
}

const scenario = await playScenario(Number(values.minutes) * 60)
try {
  await mkdir(folder, { recursive: true })
  const { adminUrl, callbackId } = scenario
  const views: Readonly<Record<string, View>> = {
    now: { hash: '#/now', show: page => page.locator('canvas').first().waitFor() },
    callbacks: { hash: '#/callbacks?workspace=shop', show: page => page.locator('tbody tr:visible').first().waitFor() },
    callback: { hash: `#/callbacks/${callbackId}?workspace=default`, show: page => page.locator('.line.fetch').first().waitFor() },
    senders: { hash: '#/senders', show: page => page.locator('tbody tr:visible').first().waitFor() },
    agents: { hash: '#/agents?workspace=plant', show: page => page.locator('.agents .rate').filter({ hasText: /\d/ }).first().waitFor() },
    try: {
      hash: '#/try',
      show: async page => {
        await page.getByRole('button', { name: 'Send', exact: true }).click()
        await page.locator('.sent li').first().waitFor()
      },
    },
  }
  for (const colorScheme of ['light', 'dark'] as const) {
    const visits = new Visits(await browser())
    for (const [name, { hash, show }] of Object.entries(views)) {
      const page = await visits.openPage(adminUrl, hash, { colorScheme })
      await show(page)
      // Two more samples, so that rates and ages are settled.
      for (const _ of [1, 2]) await page.waitForResponse(response => response.url().includes('/activity'))
      const path = `${folder}/${name}-${colorScheme}.png`
      const { length } = await page.screenshot({ path, animations: 'disabled' })
      if (length > MAX_BYTES) throw new Error(`${path} has ${length} bytes`)
      process.stdout.write(`${path}: ${Math.round(length / 1000)} kB\n`)
    }
    await visits.end()
  }
} finally {
  await closeBrowser()
  await scenario.stop()
}
