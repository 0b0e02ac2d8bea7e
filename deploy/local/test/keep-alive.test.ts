import assert from 'node:assert/strict'
import { keepAlive } from '../keep-alive.ts'

describe('keepAlive', () => {
  const never = new Promise<string>(() => {})

  it('restarts a process that ended unexpectedly, and says how it ended', async () => {
    const said: string[] = []
    const ends = [Promise.resolve('SIGKILL'), never]
    await new Promise<void>(resolve => {
      void keepAlive({
        name: 'a service',
        ended: () => ends.shift() ?? never,
        restart: () => resolve(),
        isStopping: () => false,
        say: line => said.push(line),
        onGivenUp: () => {},
      })
    })
    assert.deepEqual(said, ['a service ended unexpectedly (SIGKILL): restarting it in 1 s'])
  })

  it('gives up on a process that keeps ending', async () => {
    let restarts = 0
    const limits = { maxRestarts: 3, windowMs: 60_000, longEnoughMs: 10_000, delayMs: 1 }
    const error = await new Promise<Error>(resolve => {
      void keepAlive(
        {
          name: 'a service',
          ended: async () => 'exit code 1',
          restart: () => {
            restarts += 1
          },
          isStopping: () => false,
          say: () => {},
          onGivenUp: resolve,
        },
        limits,
      )
    })
    assert.equal(error.message, 'a service keeps ending (exit code 1): not restarting it')
    assert.equal(restarts, 3)
  })

  it('does not restart a process that was told to end', async () => {
    await keepAlive({
      name: 'a service',
      ended: async () => 'exit code 0',
      restart: () => assert.fail('restarted'),
      isStopping: () => true,
      say: line => assert.fail(line),
      onGivenUp: error => assert.fail(error),
    })
  })

  it('gives up on a process that cannot be restarted', async () => {
    const error = await new Promise<Error>(resolve => {
      void keepAlive({
        name: 'a service',
        ended: async () => 'exit code 1',
        restart: () => Promise.reject(new Error('no disk')),
        isStopping: () => false,
        say: () => {},
        onGivenUp: resolve,
      })
    })
    assert.equal(error.message, 'a service cannot be restarted: Error: no disk')
  })
})
