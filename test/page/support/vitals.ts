import type { Page } from 'playwright-core'

/** Counts frames in the page by its seconds. It is a string, because it runs in the page. */
const COUNT_FRAMES = `(() => {
  const seconds = []
  let second = Math.floor(performance.now() / 1000)
  let frames
  const count = now => {
    if (Math.floor(now / 1000) === second) frames = frames === undefined ? undefined : frames + 1
    else {
      if (frames !== undefined) seconds.push(frames)
      for (second += 1; second < Math.floor(now / 1000); second += 1) seconds.push(0)
      frames = 1
    }
    requestAnimationFrame(count)
  }
  requestAnimationFrame(count)
  return seconds
})()`

/** What a page costs its browser, as the browser itself measures it. */
export class Vitals {
  readonly #page: Page

  constructor(page: Page) {
    this.#page = page
  }

  /** Begins to count the frames of each whole second. @returns a function that returns the counts, and begins anew */
  async watchFrames(): Promise<() => Promise<number[]>> {
    const seconds = await this.#page.evaluateHandle(COUNT_FRAMES)
    return () => seconds.evaluate(counts => (counts as unknown as number[]).splice(0))
  }

  /** Memory of live JavaScript values, after a garbage collection. */
  async heapMb(): Promise<number> {
    const session = await this.#page.context().newCDPSession(this.#page)
    try {
      // One collection may leave what only finalizers free.
      await session.send('HeapProfiler.collectGarbage')
      await session.send('HeapProfiler.collectGarbage')
      return (await session.send('Runtime.getHeapUsage')).usedSize / 2 ** 20
    } finally {
      await session.detach()
    }
  }

  /** CPU time of all processes of the browser so far. */
  async cpuSeconds(): Promise<number> {
    const session = await this.#page.context().browser()?.newBrowserCDPSession()
    if (!session) throw new Error('the browser has ended')
    try {
      const { processInfo } = await session.send('SystemInfo.getProcessInfo')
      return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0)
    } finally {
      await session.detach()
    }
  }
}
