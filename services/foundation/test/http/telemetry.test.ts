import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Request, Response } from 'express'
import { pino } from 'pino'
import { httpTelemetry } from '../../http/telemetry.ts'

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
})
