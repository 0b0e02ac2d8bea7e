import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportWithin } from '../../telemetry/export-within.ts'

describe('exportWithin', () => {
  it('ends at the deadline, though the exporter never says that it is done', async () => {
    await assert.rejects(
      exportWithin(50, () => undefined),
      { name: 'TimeoutError' },
    )
  })

  it('fails with what the exporter says where no answer came', async () => {
    const error = new Error('no route')
    await assert.rejects(
      exportWithin(1000, done => done({ code: 1, error })),
      error,
    )
  })

  it('leaves requests alone that are not the export’s', async () => {
    const server = createServer((_request, response) => {
      setTimeout(() => response.end('done'), 200)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const exporting = exportWithin(50, () => undefined)
    const other = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' }).end()
    const answered = once(other, 'response')
    await assert.rejects(exporting)
    const [response] = await answered
    assert.equal(response.statusCode, 200)
    server.closeAllConnections()
    server.close()
  })
})
