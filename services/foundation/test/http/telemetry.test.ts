import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Request, Response } from 'express'
import { pino } from 'pino'
import { ZipkinCollector } from '../../../../test/support/zipkin-collector.ts'
import { httpTelemetry } from '../../http/telemetry.ts'
import { Telemetry } from '../../telemetry/tracing.ts'

describe('httpTelemetry', () => {
  for (const [what, writableFinished, status] of [
    ['the status of an answer that was sent', true, 202],
    ['499 where the caller went away before its answer', false, 499],
  ] as const) {
    it(`measures ${what}`, () => {
      const measured: number[] = []
      const handler = httpTelemetry({
        logger: pino({ level: 'silent' }),
        observe: labels => measured.push(labels.status),
        isTraced: () => false,
      })
      const request = { method: 'POST', path: '/callback', headers: {}, route: { path: '/callback' } } as unknown as Request
      const response = Object.assign(new EventEmitter(), { setHeader: () => undefined, statusCode: 202, writableFinished })
      handler(request, response as unknown as Response, () => undefined)
      response.emit('close')
      assert.deepEqual(measured, [status])
    })
  }

  for (const [path, kept] of [
    [`/${'x'.repeat(255)}`, `/${'x'.repeat(255)}`],
    [`/${'x'.repeat(15_000)}`, `/${'x'.repeat(255)}`],
  ] as const) {
    it(`keeps at most 256 characters of a path in its span, of ${path.length}`, async () => {
      const collector = new ZipkinCollector()
      await collector.start()
      const logger = pino({ level: 'silent' })
      const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: collector.url, sampleRatio: 1, logger })
      telemetry.start()
      await telemetry.sending.start()
      const request = { method: 'GET', path, headers: {} } as unknown as Request
      const response = Object.assign(new EventEmitter(), { setHeader: () => undefined, statusCode: 404, writableFinished: true })
      httpTelemetry({ logger, isTraced: () => true })(request, response as unknown as Response, () => undefined)
      response.emit('close')
      await telemetry.stop()
      collector.stop()
      assert.deepEqual(
        collector.spans.map(({ tags }) => tags['url.path']),
        [kept],
      )
    })
  }
})
