/** One thing that is wrong inside a body: where (RFC 6901 pointer), which code, and why. */
export interface ProblemDetail {
  readonly pointer: string
  readonly code: string
  readonly detail: string
}

/** An answer that is not a success. Any room behind a route may throw it; `problemHandler` writes it. */
export class HttpProblem extends Error {
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  readonly errors: readonly ProblemDetail[] | undefined

  constructor(
    code: string,
    detail: string,
    options: { headers?: Record<string, string>; errors?: readonly ProblemDetail[]; cause?: unknown } = {},
  ) {
    // It is an answer: nobody reads its stack, and taking one costs as much as half the answer.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(detail, { cause: options.cause })
    Error.stackTraceLimit = stackTraceLimit
    this.code = code
    this.headers = options.headers ?? {}
    this.errors = options.errors
  }
}

/** At most 64 characters of what a stranger sent, for quoting it back. */
export function excerpt(text: string): string {
  return text.length <= 64 ? text : `${text.slice(0, 63)}…`
}
