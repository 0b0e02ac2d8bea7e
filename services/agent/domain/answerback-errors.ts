/** The lease has ended, or another agent has the callback. Nothing that the agent does with it has an effect any more. */
export class LeaseLostError extends Error {
  readonly code = 'LEASE_LOST'
}

/** The callback service gave no usable answer. The same request may succeed later. */
export class AnswerbackUnavailableError extends Error {
  readonly code = 'ANSWERBACK_UNAVAILABLE'
  /** Short and stable: `timeout`, `connection`, `http_503`, … */
  readonly reason: string
  /** The least time that the callback service wants the agent to wait. */
  readonly retryAfterMs: number

  constructor(reason: string, { retryAfterMs = 0, ...options }: ErrorOptions & { retryAfterMs?: number | undefined } = {}) {
    super(`the callback service is unavailable: ${reason}`, options)
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }
}

/** The callback service refuses a request for good. Either it or the agent has a bug. */
export class RequestRefusedError extends Error {
  readonly code = 'REQUEST_REFUSED'

  /** @param reason the code of its problem, or the status */
  constructor(reason: string) {
    super(`the callback service refused a request: ${reason}`)
  }
}
