import { HTTP_PROBLEMS, type ProblemKind } from '#foundation/http/problems.ts'

/** Every problem the client service can answer. */
export const PROBLEMS = {
  ...HTTP_PROBLEMS,
  invalid_id: { status: 400, title: 'The id is not valid' },
  object_not_found: { status: 404, title: 'There is no such object' },
  too_many_requests: { status: 429, title: 'Too many requests' },
  injected_error: { status: 500, title: 'Something went wrong on purpose' },
} as const satisfies Readonly<Record<string, ProblemKind>>
