/** What a stable code means over HTTP. `GET /v1/errors` tells it to senders. */
export interface ProblemKind {
  readonly status: number
  readonly title: string
  /** What happened. */
  readonly meaning: string
  /** What the sender of the request does about it. */
  readonly remedy: string
}

/** The problems that any of our services can answer. Each service adds its own in its `api/problems.ts`. */
export const HTTP_PROBLEMS = {
  bad_request: {
    status: 400,
    title: 'The request is not valid HTTP',
    meaning: 'The request breaks a rule of HTTP, or ended too early.',
    remedy: 'Correct the request as the detail says. Do not repeat it unchanged.',
  },
  invalid_path: {
    status: 400,
    title: 'The path cannot be decoded',
    meaning: 'The path has a percent sign that no two hexadecimal digits follow, or bytes that are not UTF-8.',
    remedy: 'Percent-encode the path as UTF-8.',
  },
  invalid_json: {
    status: 400,
    title: 'The body is not JSON',
    meaning: 'The body is not exactly one JSON value (RFC 8259).',
    remedy: 'Send one complete JSON value.',
  },
  empty_body: {
    status: 400,
    title: 'The body is empty',
    meaning: 'The request has no body, or a body of blanks.',
    remedy: 'Send the JSON object that the operation documents.',
  },
  invalid_parameter: {
    status: 400,
    title: 'A query parameter is not valid',
    meaning: 'A query parameter is unknown, is given twice, or has a value that is not allowed. The detail names it.',
    remedy: 'Correct the parameter. Take cursors unchanged from the links of the same list.',
  },
  host_not_allowed: {
    status: 403,
    title: 'The port may not be asked under this name',
    meaning: 'The Host header of a request to the admin port names a host that is not allowed.',
    remedy: 'Use an IP address or localhost, or add the name to admin.allowedHosts.',
  },
  cross_site: {
    status: 403,
    title: 'The request comes from another site',
    meaning: 'A browser sent this request to the admin port for a page of another site.',
    remedy: 'Open the admin port directly. Other sites cannot use it.',
  },
  not_found: {
    status: 404,
    title: 'There is nothing here',
    meaning: 'No operation has this path. Paths are case-sensitive and have no trailing slash.',
    remedy: 'Look the path up in /v1/openapi.json.',
  },
  problem_not_found: {
    status: 404,
    title: 'There is no such problem code',
    meaning: 'This service never answers with a problem of this code.',
    remedy: 'Look the codes up in /v1/errors.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The method is not allowed here',
    meaning: 'The path exists, but not for this method.',
    remedy: 'Use one of the methods in the Allow header.',
  },
  request_timeout: {
    status: 408,
    title: 'The request did not arrive in time',
    meaning: 'The headers took longer than 8 seconds, or the whole request longer than 9. The connection is closed.',
    remedy: 'Send the request again, faster, with the same Idempotency-Key if it has one.',
  },
  body_too_large: {
    status: 413,
    title: 'The body is too large',
    meaning: 'The body has more bytes than the operation accepts.',
    remedy: 'Send less in one request.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The media type is not supported',
    meaning: 'The Content-Type is missing, or is none that the operation accepts.',
    remedy: 'Use a type from the Accept-Post or Accept-Patch header, in UTF-8.',
  },
  unsupported_encoding: {
    status: 415,
    title: 'The content encoding is not supported',
    meaning: 'The body is compressed or encoded in another way.',
    remedy: 'Send the body without Content-Encoding.',
  },
  expectation_failed: {
    status: 417,
    title: 'The expectation cannot be met',
    meaning: 'The Expect header asks for something other than 100-continue.',
    remedy: 'Send the request without this header.',
  },
  invalid_setting: {
    status: 422,
    title: 'A setting is not valid',
    meaning: 'A setting would get a value that is not allowed, or that contradicts another setting. Nothing was changed.',
    remedy: 'Correct the value as the detail says.',
  },
  unknown_setting: {
    status: 422,
    title: 'There is no such setting',
    meaning: 'The change names a setting that does not exist. Nothing was changed.',
    remedy: 'Look the settings up with GET /config.',
  },
  not_changeable: {
    status: 422,
    title: 'The setting cannot change while the service runs',
    meaning: 'The setting is read once, when the service starts. Nothing was changed.',
    remedy: 'Change it in the file, the environment or the command line, and restart the service.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large',
    meaning: 'The request line and the headers exceed 16 KiB.',
    remedy: 'Send fewer or shorter headers.',
  },
  internal_error: {
    status: 500,
    title: 'Something went wrong on our side',
    meaning: 'The service has a bug. Its log has the error under the operation_id of the answer.',
    remedy: 'Report the operation_id to the operators of the service.',
  },
  profile_running: {
    status: 503,
    title: 'A profile is being taken',
    meaning: 'The process takes one CPU profile at a time.',
    remedy: 'Ask again when the other profile is done.',
  },
  shutting_down: {
    status: 503,
    title: 'The service is shutting down',
    meaning: 'This process is about to end. The request changed nothing.',
    remedy: 'Send the request again, on a new connection, after the time in Retry-After.',
  },
} as const satisfies Readonly<Record<string, ProblemKind>>

export type HttpProblemCode = keyof typeof HTTP_PROBLEMS
