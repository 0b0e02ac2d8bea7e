/** The meaning of one problem code. `GET /v1/errors` shows it to callers. */
export interface ProblemKind {
  readonly status: number
  readonly title: string
  /** What happened. */
  readonly meaning: string
  /** What the caller should do. */
  readonly remedy: string
}

/** The problems that every service can return. Each service adds its own in its `api/`. */
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
    meaning: 'The path has a percent sign without two hexadecimal digits after it, or bytes that are not UTF-8.',
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
    meaning: 'The request has no body, or a body of only white space.',
    remedy: 'Send the JSON object that /v1/openapi.json describes.',
  },
  invalid_parameter: {
    status: 400,
    title: 'A query parameter is not valid',
    meaning: 'A query parameter is unknown, appears twice, or has a value that is not allowed. The detail names it.',
    remedy: 'Correct the parameter. Copy a cursor unchanged from a link of the same list.',
  },
  host_not_allowed: {
    status: 403,
    title: 'The host name is not allowed',
    meaning:
      'The Host header has a name that the service does not know. The admin port refuses it, and so does open access to what only managers may do.',
    remedy: 'Use an IP address or localhost, or add the name to admin.allowedHosts.',
  },
  cross_site: {
    status: 403,
    title: 'The request comes from another site',
    meaning: 'A browser sent this request for a page of another site, to the admin port or to what only managers may do.',
    remedy: 'Send the request directly, or with a key.',
  },
  origin_not_allowed: {
    status: 403,
    title: 'The origin is not allowed',
    meaning: 'A page of another origin asked for a WebSocket.',
    remedy: 'Add the origin to http.corsOrigins, or serve the page from the host of the service.',
  },
  not_found: {
    status: 404,
    title: 'There is nothing here',
    meaning: 'No operation has this path. Paths are case-sensitive and have no trailing slash.',
    remedy: 'Look up the path in /v1/openapi.json.',
  },
  problem_not_found: {
    status: 404,
    title: 'There is no such problem code',
    meaning: 'This port never returns a problem with this code.',
    remedy: 'Look up the codes in /v1/errors.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The method is not allowed here',
    meaning: 'The path exists, but it does not allow this method.',
    remedy: 'Use one of the methods in the Allow header.',
  },
  request_timeout: {
    status: 408,
    title: 'The request did not arrive in time',
    meaning: 'The headers took longer than 8 seconds, or the whole request longer than 9. The service closed the connection.',
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
    meaning: 'The Content-Type is missing, or the operation does not accept it.',
    remedy: 'Use a type from the Accept-Post or Accept-Patch header, in UTF-8.',
  },
  unsupported_encoding: {
    status: 415,
    title: 'The content encoding is not supported',
    meaning: 'The request has a Content-Encoding, and the service does not decode bodies.',
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
    meaning: 'The new value of a setting is not allowed, or contradicts another setting. The service changed nothing.',
    remedy: 'Correct the value as the detail says.',
  },
  unknown_setting: {
    status: 422,
    title: 'There is no such setting',
    meaning: 'The change names a setting that does not exist. The service changed nothing.',
    remedy: 'Look up the settings with GET /config.',
  },
  not_changeable: {
    status: 422,
    title: 'The setting cannot change while the service runs',
    meaning: 'The service reads this setting only when it starts. It changed nothing.',
    remedy: 'Change it in the file, in the environment or on the command line. Then restart the service.',
  },
  upgrade_required: {
    status: 426,
    title: 'This path is a WebSocket',
    meaning: 'The request has not the headers that open a WebSocket of version 13 (RFC 6455).',
    remedy: 'Use a client for WebSockets. A proxy in between must pass the headers Connection and Upgrade on.',
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
    title: 'Another CPU profile is running',
    meaning: 'The process takes one CPU profile at a time.',
    remedy: 'Try again when the other profile has ended.',
  },
  too_many_streams: {
    status: 503,
    title: 'Too many streams are open',
    meaning: 'This process serves a limited number of WebSockets.',
    remedy: 'Try again after the time in Retry-After, or raise stream.maxClients.',
  },
  shutting_down: {
    status: 503,
    title: 'The service is shutting down',
    meaning: 'This process is about to end. The request changed nothing.',
    remedy: 'Send the request again, on a new connection, after the time in Retry-After.',
  },
} as const satisfies Readonly<Record<string, ProblemKind>>

export type HttpProblemCode = keyof typeof HTTP_PROBLEMS
