import { setTimeout as sleep } from 'node:timers/promises'
import Type from 'typebox'
import type { Answer } from '../http/answer.ts'
import { HttpProblem } from '../http/problems.ts'
import { queryParameter } from '../http/query.ts'
import { type Route, route } from '../http/route.ts'
import type { Part } from '../lifecycle/parts.ts'

const HEAP_SAMPLE_BYTES = 512 * 1024
const HEAP_STACK_DEPTH = 64

/** Samples the heap from the start, so that a profile also shows early allocations. It takes 32 ms and 12 MB. */
export const heapSampling: Part = {
  name: 'heap sampling',
  async start() {
    const { heap } = await import('@datadog/pprof')
    heap.start(HEAP_SAMPLE_BYTES, HEAP_STACK_DEPTH)
  },
}

/**
 * Returns the routes for profiles in pprof's format (gzipped protobuf), made by @datadog/pprof.
 * `GET /debug/pprof/profile?seconds=N` samples the CPU for 1 to 300 seconds (default 30), or until the caller disconnects.
 * `GET /debug/pprof/heap` shows what is on the heap now, sampled every 512 KiB since the process started.
 */
export function adminProfileRoutes(): readonly Route[] {
  let isProfilingCpu = false
  return [
    route({
      ...PROFILE,
      path: '/debug/pprof/heap',
      operationId: 'getHeapProfile',
      summary: 'Returns a profile of the heap',
      problems: [],
      parse: () => undefined,
      async execute() {
        const { encode, heap } = await import('@datadog/pprof')
        return profile('heap', await encode(heap.profile()))
      },
    }),
    route({
      ...PROFILE,
      path: '/debug/pprof/profile',
      operationId: 'getCpuProfile',
      summary: 'Samples the CPU for some seconds and returns the profile',
      query: Type.Object({ seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_SECONDS, default: 30 })) }),
      problems: ['invalid_parameter', 'profile_running'],
      parse: request => queryParameter(request, 'seconds', readSeconds, `an integer from 1 to ${MAX_SECONDS}`) ?? 30,
      async execute(seconds, response) {
        if (isProfilingCpu)
          throw new HttpProblem('profile_running', 'Another CPU profile is running. Try again when it has ended.', {
            headers: { 'Retry-After': '30' },
          })
        isProfilingCpu = true
        const gone = new AbortController()
        response.once('close', () => gone.abort())
        try {
          const { encode, time } = await import('@datadog/pprof')
          time.start({ durationMillis: seconds * 1000 })
          await sleep(seconds * 1000, undefined, { signal: gone.signal }).catch(() => undefined)
          return profile('profile', await encode(time.stop()))
        } finally {
          isProfilingCpu = false
        }
      },
    }),
  ]
}

const MAX_SECONDS = 300

const PROFILE = {
  method: 'GET',
  access: 'operator',
  limits: 'none',
  answers: {
    200: { description: 'A profile for `go tool pprof`.', type: 'application/octet-stream', schema: Type.String({ format: 'binary' }) },
  },
} as const

function readSeconds(text: string): number | undefined {
  const seconds = /^\d{1,3}$/.test(text) ? Number(text) : 0
  return seconds >= 1 && seconds <= MAX_SECONDS ? seconds : undefined
}

function profile(name: string, body: Buffer): Answer {
  const headers = { 'Content-Disposition': `attachment; filename="${name}.pb.gz"` }
  return { status: 200, type: 'application/octet-stream', headers, body }
}
