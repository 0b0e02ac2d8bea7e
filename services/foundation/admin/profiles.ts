import { setTimeout as sleep } from 'node:timers/promises'
import { type Response, Router } from 'express'
import { HttpProblem, methodNotAllowed } from '../http/problems.ts'
import type { Part } from '../lifecycle/parts.ts'

const HEAP_SAMPLE_BYTES = 512 * 1024
const HEAP_STACK_DEPTH = 64

/** Samples the heap from the start, so that a profile also shows what was allocated long before somebody asks (32 ms, 12 MB). */
export const heapSampling: Part = {
  name: 'heap sampling',
  async start() {
    const { heap } = await import('@datadog/pprof')
    heap.start(HEAP_SAMPLE_BYTES, HEAP_STACK_DEPTH)
  },
}

/**
 * Profiles in pprof's own format (gzipped protobuf), by @datadog/pprof.
 * `GET /debug/pprof/profile?seconds=N` samples the CPU for 1 to 300 seconds (30), or until the asker is gone. `GET /debug/pprof/heap`
 * shows what lives on the heap, sampled every 512 KiB since the process started.
 */
export function adminProfileRoutes(): Router {
  let isProfilingCpu = false
  return Router({ caseSensitive: true, strict: true })
    .get('/debug/pprof/heap', async (_request, response) => {
      const { encode, heap } = await import('@datadog/pprof')
      sendProfile(response, 'heap', await encode(heap.profile()))
    })
    .get('/debug/pprof/profile', async (request, response) => {
      const seconds = Number(request.query['seconds'] ?? 30)
      if (!Number.isInteger(seconds) || seconds < 1 || seconds > 300)
        throw new HttpProblem('invalid_parameter', 'seconds must be an integer from 1 to 300.')
      if (isProfilingCpu)
        throw new HttpProblem('profile_running', 'Another CPU profile is being taken; ask again when it is done.', {
          headers: { 'Retry-After': '30' },
        })
      isProfilingCpu = true
      const gone = new AbortController()
      response.once('close', () => gone.abort())
      try {
        const { encode, time } = await import('@datadog/pprof')
        time.start({ durationMillis: seconds * 1000 })
        await sleep(seconds * 1000, undefined, { signal: gone.signal }).catch(() => undefined)
        sendProfile(response, 'profile', await encode(time.stop()))
      } finally {
        isProfilingCpu = false
      }
    })
    .all(['/debug/pprof/heap', '/debug/pprof/profile'], methodNotAllowed('GET', 'HEAD'))
}

function sendProfile(response: Response, name: string, body: Buffer): void {
  response.setHeader('Content-Type', 'application/octet-stream')
  response.setHeader('Content-Disposition', `attachment; filename="${name}.pb.gz"`)
  response.end(body)
}
