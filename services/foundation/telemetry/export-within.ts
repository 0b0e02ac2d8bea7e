import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { addAbortSignal } from 'node:stream'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'

/** On this channel, Node publishes every request that `node:http` and `node:https` make. */
const REQUEST_CREATED = 'http.client.request.created'
const MAX_ANSWER_BYTES = 65_536

/** Maximum time of one export. */
export const EXPORT_TIMEOUT_MS = 5000

/** The export that a request belongs to. */
const current = new AsyncLocalStorage<object>()

/**
 * Runs one export and bounds its HTTP requests. They end at the deadline, and it reads at most 64 KiB of an answer.
 * OpenTelemetry's exporters make their requests themselves and take neither a deadline for a whole request nor a limit for an answer.
 * Only the status of the answer counts: 2xx is a success. Node does not follow redirects.
 * @param exportAll starts the export and passes its result to `done`
 * @throws {Error} says why the collector did not take the spans
 */
export async function exportWithin(timeoutMs: number, exportAll: (done: (result: ExportResult) => void) => void): Promise<void> {
  const deadline = AbortSignal.timeout(timeoutMs)
  const self = {}
  let status: number | undefined
  const bound = (message: unknown): void => {
    if (current.getStore() !== self) return
    const { request } = message as { request: ClientRequest }
    addAbortSignal(deadline, request)
    request.prependListener('response', response => {
      status = response.statusCode
      limitAnswer(request, response)
    })
  }
  subscribe(REQUEST_CREATED, bound)
  try {
    const exported = current.run(self, () => new Promise(exportAll))
    const result = await Promise.race([exported, once(deadline, 'abort').then(() => undefined)])
    verify(status, deadline, result)
  } finally {
    unsubscribe(REQUEST_CREATED, bound)
  }
}

function limitAnswer(request: ClientRequest, response: IncomingMessage): void {
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) request.destroy(new Error('the answer is too long'))
  })
  // The Zipkin exporter waits for the end of an answer even if it has lost the connection, and would wait forever.
  response.once('close', () => response.readableEnded || response.emit('end'))
}

function verify(status: number | undefined, deadline: AbortSignal, result: ExportResult | undefined): void {
  if (status !== undefined && status >= 200 && status <= 299) return
  if (status !== undefined) throw new Error(`answered ${status}`)
  if (deadline.aborted) throw deadline.reason
  if (result?.code !== ExportResultCode.SUCCESS) throw result?.error ?? new Error('the export failed')
}
