import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves when `condition` holds; fails with its words when it does not within five seconds. */
export async function eventually(fact: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  await until(condition, 5000, fact)
}

/** Polls a condition until it holds. @returns what it gave @throws {AssertionError} when it does not hold within `timeoutMs` */
export async function until<T>(condition: () => T | Promise<T>, timeoutMs = 15_000, fact = String(condition)): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const result = await condition()
    if (result) return result
    assert.ok(performance.now() < deadline, `not within ${timeoutMs} ms: ${fact}`)
    await sleep(5)
  }
}
