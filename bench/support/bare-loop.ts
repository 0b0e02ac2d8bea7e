import { Pool } from 'undici'

/**
 * The lower bound for the cost of fetching objects in Node: undici with the same concurrency, each answer parsed and dropped.
 * Arguments: origin, number of objects, concurrency. Prints the number of objects per second.
 */
const [origin = '', count = '', concurrency = ''] = process.argv.slice(2)
const pool = new Pool(origin, { connections: null, pipelining: 1 })
let next = 0
const started = performance.now()
await Promise.all(Array.from({ length: Number(concurrency) }, fetchObjects))
process.stdout.write(`${(Number(count) / (performance.now() - started)) * 1000}\n`)
await pool.close()

async function fetchObjects(): Promise<void> {
  while (next < Number(count)) {
    next += 1
    const { body } = await pool.request({ method: 'GET', path: `/objects/${next}`, headers: { accept: 'application/json' } })
    const object = JSON.parse(await body.text()) as { id: number }
    if (typeof object.id !== 'number') throw new Error('no object')
  }
}
