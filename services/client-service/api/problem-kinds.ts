import { HTTP_PROBLEMS, type ProblemKind } from '#foundation/http/problem-kinds.ts'

/** Every problem that the client service can return. */
export const PROBLEMS = {
  ...HTTP_PROBLEMS,
  invalid_id: {
    status: 400,
    title: 'The id is not valid',
    meaning: 'The id in the path is not a 64-bit signed integer.',
    remedy: 'Send an integer without leading zeros.',
  },
  object_not_found: {
    status: 404,
    title: 'There is no such object',
    meaning: 'The setting faults.notFoundShare asks for this answer.',
    remedy: 'Treat the object as gone.',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests',
    meaning: 'The setting faults.tooManyRequestsShare asks for this answer.',
    remedy: 'Try again after the time in Retry-After.',
  },
  injected_error: {
    status: 500,
    title: 'Something went wrong on purpose',
    meaning: 'The setting faults.errorShare asks for this answer.',
    remedy: 'Try again a little later.',
  },
} as const satisfies Readonly<Record<string, ProblemKind>>
