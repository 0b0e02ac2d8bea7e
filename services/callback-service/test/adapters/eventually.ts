import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves when `condition` holds; fails with its words when it does not within five seconds. */
export async function eventually(fact: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5000
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `not within 5 s: ${fact}`)
    await sleep(5)
  }
}
