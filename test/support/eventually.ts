import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves when `condition` is true. After five seconds it fails with the text of `fact`. */
export async function eventually(fact: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  await until(condition, 5000, fact)
}

/** Polls a condition until its result is truthy. @returns that result @throws {AssertionError} there is none within `timeoutMs` */
export async function until<T>(condition: () => T | Promise<T>, timeoutMs = 15_000, fact = String(condition)): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const result = await condition()
    if (result) return result
    assert.ok(performance.now() < deadline, `not within ${timeoutMs} ms: ${fact}`)
    await sleep(5)
  }
}
