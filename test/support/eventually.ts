import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves when `condition` is true. After ten seconds it fails with the text of `fact`. It says nothing about speed: machines stall. */
export async function eventually(fact: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  await until(condition, 10_000, fact)
}

/** Polls a condition until its result is truthy, less often the longer it takes. @returns that result @throws {AssertionError} there is none within `timeoutMs` */
export async function until<T>(condition: () => T | Promise<T>, timeoutMs = 15_000, fact = String(condition)): Promise<NonNullable<T>> {
  const started = performance.now()
  for (;;) {
    const result = await condition()
    if (result) return result
    const waitedMs = performance.now() - started
    assert.ok(waitedMs < timeoutMs, `not within ${timeoutMs} ms: ${fact}`)
    await sleep(Math.min(5 + waitedMs / 100, 25))
  }
}
