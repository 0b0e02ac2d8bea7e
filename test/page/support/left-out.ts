import { findChromium, HOW_TO_GET_CHROMIUM } from './chromium.ts'

/** Says at the end of all tests whether those in a browser were left out (mocha's global fixture). */
export function mochaGlobalTeardown(): void {
  if (!findChromium()) process.stdout.write(`  Left out: test/page, the tests in a browser. To run them, ${HOW_TO_GET_CHROMIUM}.\n`)
}
