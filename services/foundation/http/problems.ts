/** One mistake inside a body: its place (an RFC 6901 pointer), its code and the reason. */
export interface ProblemDetail {
  readonly pointer: string
  readonly code: string
  readonly detail: string
}

/** An answer that is not a success. Any room behind a route may throw it. `problemHandler` sends it. */
export class HttpProblem extends Error {
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  readonly errors: readonly ProblemDetail[] | undefined

  constructor(
    code: string,
    detail: string,
    options: { headers?: Record<string, string>; errors?: readonly ProblemDetail[]; cause?: unknown } = {},
  ) {
    // Nobody reads the stack of an answer, and capturing it costs half as much as the whole answer.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(detail, { cause: options.cause })
    Error.stackTraceLimit = stackTraceLimit
    this.code = code
    this.headers = options.headers ?? {}
    this.errors = options.errors
  }
}

/** Shortens a text from a caller to at most 64 characters, so that an answer can quote it. */
export function excerpt(text: string): string {
  return text.length <= 64 ? text : `${text.slice(0, 63)}…`
}
